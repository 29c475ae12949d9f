-- wrk: POST a body of so many bytes, given after "--".
function init(arguments)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/octet-stream"
  wrk.body = string.rep("x", tonumber(arguments[1]))
end
