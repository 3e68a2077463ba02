"""What is kept between calls, and what tells whether it still answers."""
