-- wrk: every tenth request goes to a handler that sleeps, the others to a quick one.
local count = 0

function request()
  count = count + 1
  return wrk.format("GET", count % 10 == 0 and "/nap" or "/fast")
end
