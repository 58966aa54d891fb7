"""What tests share: real servers, free ports, the reference of the averages."""
