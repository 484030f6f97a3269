using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace LowRank.Testing;

/// <summary>A server that answers as the Hugging Face Hub does: listings, redirects of large files to a storage server
/// on another port, etags, ranges, pushes. Faults are put in its way by the tests.</summary>
public sealed class FakeHub : IDisposable
{
    private readonly HttpListener listener = new();
    private readonly int port = FreePort(), storagePort = FreePort();
    private readonly ConcurrentDictionary<string, ConcurrentQueue<Func<HttpListenerContext, bool>>> faults = new();
    private readonly ConcurrentDictionary<string, byte[]> stored = new();      // the storage server's, by SHA-256
    private readonly ConcurrentDictionary<string, byte[]> uploadedParts = new();

    public FakeHub()
    {
        listener.Prefixes.Add($"http://127.0.0.1:{port}/");
        listener.Prefixes.Add($"http://127.0.0.1:{storagePort}/");
        listener.Start();
        _ = Task.Run(Serve);
    }

    public string Endpoint => $"http://127.0.0.1:{port}";

    public string Storage => $"http://127.0.0.1:{storagePort}";

    public string? RequiredToken { get; set; }

    public string Commit { get; set; } = new('a', 40);

    public bool ListsNamesAlone { get; set; }

    public bool HasRanges { get; set; } = true;

    public int PushPartBytes { get; set; }

    public SortedDictionary<string, (byte[] Content, bool IsLarge)> Files { get; } = [];

    public ConcurrentQueue<(
        string Method, string Address, string? Range, string? Authorization)> Requests { get; } = new();

    public List<JsonObject> Committed { get; } = [];

    public List<string> Verified { get; } = [];

    /// <summary>Puts a fault before the next answer to a path; it returns whether it has answered.</summary>
    public void Fault(string path, Func<HttpListenerContext, bool> fault) =>
        faults.GetOrAdd(path, _ => new()).Enqueue(fault);

    public void Fail(string path, int status, string? header = null, string value = "") => Fault(path, context =>
    {
        context.Response.StatusCode = status;
        if (header is not null) context.Response.Headers[header] = value;
        context.Response.Close();
        return true;
    });

    public void Add(string path, byte[] content, bool isLarge = false)
    {
        Files[path] = (content, isLarge);
        if (isLarge) stored[Sha256(content)] = content;
    }

    public string Large(string path) => "/" + Sha256(Files[path].Content);

    public byte[] Stored(string oid) => stored[oid];

    public void Dispose() => listener.Close();

    public static string Sha256(byte[] content) => Convert.ToHexStringLower(SHA256.HashData(content));

#pragma warning disable CA5350 // git names contents by SHA-1
    public static string GitSha1(byte[] content) =>
        Convert.ToHexStringLower(SHA1.HashData([.. Encoding.ASCII.GetBytes($"blob {content.Length}\0"), .. content]));
#pragma warning restore CA5350

    private static int FreePort()
    {
        using var socket = new TcpListener(IPAddress.Loopback, 0);
        socket.Start();
        return ((IPEndPoint)socket.LocalEndpoint).Port;
    }

    private async Task Serve()
    {
        while (listener.IsListening)
        {
            HttpListenerContext context;
            try
            {
                context = await listener.GetContextAsync();
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
            {
                return; // closed
            }
            _ = Task.Run(() => Answer(context));
        }
    }

    private void Answer(HttpListenerContext context)
    {
        HttpListenerRequest request = context.Request;
        Requests.Enqueue(
            (request.HttpMethod, request.Url!.AbsoluteUri, request.Headers["Range"], request.Headers["Authorization"]));
        try
        {
            if (faults.TryGetValue(
                request.Url.AbsolutePath, out ConcurrentQueue<Func<HttpListenerContext, bool>>? waiting)
                && waiting.TryDequeue(out Func<HttpListenerContext, bool>? fault) && fault(context))
                return;
            if (request.Url.Port == storagePort) AnswerStorage(context);
            else AnswerHub(context);
        }
        catch (Exception e) when (e is HttpListenerException or IOException or ObjectDisposedException)
        {
            // the client has gone
        }
    }

    private void AnswerHub(HttpListenerContext context)
    {
        string path = context.Request.Url!.AbsolutePath;
        if (RequiredToken is { } token && context.Request.Headers["Authorization"] != "Bearer " + token)
        {
            context.Response.Headers["X-Error-Message"] = "Invalid username or password.";
            Reply(context, 401, []);
        }
        else if (path == "/api/models/org/name/revision/main" || path == "/api/models/org/name/revision/" + Commit)
            Reply(context, 200, Json(Listing()));
        else if (new[] { Commit, "main" }.FirstOrDefault(
            revision => path.StartsWith($"/org/name/resolve/{revision}/", StringComparison.Ordinal)) is { } revision)
            Resolve(context, Uri.UnescapeDataString(path[$"/org/name/resolve/{revision}/".Length..]));
        else if (context.Request.HttpMethod == "POST") Post(context, path, Body(context));
        else Reply(context, 404, Json(new JsonObject { ["error"] = "Repository not found" }));
    }

    private JsonObject Listing() => new()
    {
        ["id"] = "org/name",
        ["sha"] = Commit,
        ["siblings"] =
            new JsonArray([.. Files.Select(file => (JsonNode)Entry(file.Key, file.Value.Content, file.Value.IsLarge))]),
    };

    private JsonObject Entry(string path, byte[] content, bool isLarge)
    {
        var entry = new JsonObject { ["rfilename"] = path };
        if (ListsNamesAlone) return entry;
        entry["size"] = content.Length;
        entry["blobId"] = GitSha1(content);
        if (isLarge)
            entry["lfs"] =
                new JsonObject { ["sha256"] = Sha256(content), ["size"] = content.Length, ["pointerSize"] = 134 };
        return entry;
    }

    private void Resolve(HttpListenerContext context, string path)
    {
        if (!Files.TryGetValue(path, out (byte[] Content, bool IsLarge) file))
        {
            Reply(context, 404, []);
            return;
        }
        context.Response.Headers["X-Repo-Commit"] = Commit;
        if (!file.IsLarge)
        {
            context.Response.Headers["ETag"] = $"\"{GitSha1(file.Content)}\"";
            Send(context, file.Content);
            return;
        }
        context.Response.Headers["X-Linked-Etag"] = $"\"{Sha256(file.Content)}\"";
        context.Response.Headers["X-Linked-Size"] = file.Content.Length.ToString();
        context.Response.Headers["Location"] = $"{Storage}/{Sha256(file.Content)}?X-Amz-Signature=secret";
        Reply(context, 302, []);
    }

    private void AnswerStorage(HttpListenerContext context)
    {
        string key = context.Request.Url!.AbsolutePath[1..];
        if (context.Request.HttpMethod == "PUT")
        {
            byte[] body = Body(context);
            if (key.Contains('.')) uploadedParts[key] = body;
            else stored[key] = body;
            context.Response.Headers["ETag"] = $"\"{Sha256(body)[..8]}\"";
            Reply(context, 200, []);
        }
        else if (stored.TryGetValue(key, out byte[]? content)) Send(context, content);
        else Reply(context, 404, []);
    }

    private void Send(HttpListenerContext context, byte[] content)
    {
        if (HasRanges && context.Request.Headers["Range"] is { } range)
        {
            string[] ends = range["bytes=".Length..].Split('-');
            int from = int.Parse(ends[0]), to = ends[1].Length == 0 ? content.Length - 1
                : Math.Min(int.Parse(ends[1]), content.Length - 1);
            context.Response.Headers["Content-Range"] = $"bytes {from}-{to}/{content.Length}";
            Reply(context, 206, content[from..(to + 1)]);
            return;
        }
        Reply(context, 200, content);
    }

    private void Post(HttpListenerContext context, string path, byte[] body)
    {
        if (path == "/api/repos/create")
        {
            Reply(context, Files.Count > 0 ? 409 : 200, Json(new JsonObject { ["url"] = Endpoint + "/org/name" }));
        }
        else if (path == "/api/models/org/name/preupload/main")
        {
            JsonArray files = JsonNode.Parse(body)!["files"]!.AsArray();
            Reply(context, 200, Json(new JsonObject
            {
                ["files"] = new JsonArray([.. files.Select(file => (JsonNode)new JsonObject
                {
                    ["path"] = (string)file!["path"]!, ["uploadMode"] = ((string)file["path"]!)
                        .EndsWith(".safetensors", StringComparison.Ordinal) ? "lfs"
                        : "regular", ["shouldIgnore"] = false,
                })]),
            }));
        }
        else if (path == "/org/name.git/info/lfs/objects/batch")
            Reply(context, 200, Json(Batch(JsonNode.Parse(body)!)));
        else if (path == "/complete")
        {
            JsonNode done = JsonNode.Parse(body)!;
            string oid = (string)done["oid"]!;
            stored[oid] = [
                .. done["parts"]!.AsArray().SelectMany(part => uploadedParts[$"{oid}.{(int)part!["partNumber"]!}"])];
            Reply(context, 200, []);
        }
        else if (path == "/verify")
        {
            Verified.Add((string)JsonNode.Parse(body)!["oid"]!);
            Reply(context, 200, []);
        }
        else if (path == "/api/models/org/name/commit/main")
        {
            Committed.AddRange(
                Encoding.UTF8.GetString(body).Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(line => JsonNode.Parse(line)!.AsObject()));
            Reply(context, 200,
                Json(new JsonObject { ["commitUrl"] = Endpoint + "/org/name/commit/" + Commit,
                ["commitOid"] = Commit }));
        }
        else Reply(context, 404, []);
    }

    private JsonObject Batch(JsonNode asked) => new()
    {
        ["transfer"] = "basic",
        ["objects"] = new JsonArray([.. asked["objects"]!.AsArray().Select(one =>
        {
            string oid = (string)one!["oid"]!;
            var answer = new JsonObject { ["oid"] = oid, ["size"] = (long)one["size"]! };
            if (stored.ContainsKey(oid)) return (JsonNode)answer; // the Hub has it: nothing to send
            var upload = new JsonObject { ["href"] = $"{Storage}/{oid}",
                ["header"] = new JsonObject { ["x-note"] = "kept" } };
            if (PushPartBytes > 0)
            {
                var header = new JsonObject { ["chunk_size"] = PushPartBytes.ToString() };
                for (int part = 1; part <= ((long)one["size"]! + PushPartBytes - 1) / PushPartBytes; part++)
                    header[part.ToString()] = $"{Storage}/{oid}.{part}";
                upload = new JsonObject { ["href"] = Endpoint + "/complete", ["header"] = header };
            }
            answer["actions"] =
                new JsonObject { ["upload"] = upload,
                ["verify"] = new JsonObject { ["href"] = Endpoint + "/verify", ["header"] = new JsonObject() } };
            return answer;
        })]),
    };

    private static byte[] Body(HttpListenerContext context)
    {
        using var body = new MemoryStream();
        context.Request.InputStream.CopyTo(body);
        return body.ToArray();
    }

    private static byte[] Json(JsonObject body) => Encoding.UTF8.GetBytes(body.ToJsonString());

    private static void Reply(HttpListenerContext context, int status, byte[] body)
    {
        context.Response.StatusCode = status;
        context.Response.ContentLength64 = body.Length;
        if (context.Request.HttpMethod != "HEAD") context.Response.OutputStream.Write(body);
        context.Response.Close();
    }
}
