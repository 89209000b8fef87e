"""What tests with real desktops share: a repository, a program to watch, a look for remains."""
