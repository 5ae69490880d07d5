from tools.chaos.soak import main

raise SystemExit(main())
