"""Claims on MPO (Abdolmaleki et al. 2018, arXiv 1806.06920): its proof of improvement, its dual, its M-step."""
