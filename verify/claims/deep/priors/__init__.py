"""Claims on the deep agent's learned priors: Distral and IADP rest at the exact iterates."""
