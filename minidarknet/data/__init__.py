"""Pictures and what is on them: reading, varying, and handing them to the network in batches."""
