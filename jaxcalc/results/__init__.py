"""What a user gets: Jacobians, their patterns and layouts, products, exports."""
