"""The pipeline: which runs there are, and the tables and figures made of them."""
