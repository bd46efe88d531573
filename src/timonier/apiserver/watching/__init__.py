"""How changes reach those who watch: as which bytes (`frames`), found out once for how many (`audience`), and at what
pace to each of them (`watcher`). Which request becomes a watch, and when it ends, stands in `verbs.watch`."""
