"""What Slack delivers, one kind a module: acknowledge, then hand over to the desk. No rule of the product is here."""
