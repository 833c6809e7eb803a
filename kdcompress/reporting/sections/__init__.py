"""One file for each section of the page: its words, its figure, and the table of that figure."""
