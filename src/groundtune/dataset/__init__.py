"""Read, write, import, export, split and summarise examples."""
