"""How documents lie in a table: what is done to each before it becomes a row."""
