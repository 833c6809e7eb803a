"""What MHIST alone needs: its files, its table, its votes, where it comes from."""
