"""What is shipped for each way of running it."""
