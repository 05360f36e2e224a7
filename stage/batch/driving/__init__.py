"""The head: walks a workflow for engines that are told each job."""
