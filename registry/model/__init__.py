"""The vocabulary: plain values that every layer shares. Imports no database."""
