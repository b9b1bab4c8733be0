"""Claims on learned priors: Distral, information hidden from the prior (IADP), hierarchies (HDP)."""
