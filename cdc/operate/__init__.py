"""What operators and people are served with: backfills, status, orders, explanations, one record explained."""
