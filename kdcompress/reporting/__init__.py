"""What a run holds, on one page: an HTML file that needs nothing but itself, and a model card."""
