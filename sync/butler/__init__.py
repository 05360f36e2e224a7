"""What the field's butler wrote, in our words."""
