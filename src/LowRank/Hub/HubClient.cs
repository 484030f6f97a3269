using System.Diagnostics;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Hub;

/// <summary>What the Hub's interface is asked: what a repository holds.</summary>
internal sealed class HubClient(HubOptions options, HubTransport transport)
{
    private const int MostBytes = 64 << 20; // a listing of more is none
    // of 2 TB: a larger one is none, and many of them would be no number of bytes
    private const long LargestFile = 1L << 41;

    /// <summary>The commit of a revision and its files.</summary>
    /// <exception cref="InputException">There is no such repository or revision, it is private, or its listing holds a
    /// path that leaves its folder.</exception>
    /// <exception cref="HubException">The Hub could not be reached, or answered what is no listing.</exception>
    public async Task<HubSnapshot> List(HubRepository repository, CancellationToken cancellation)
    {
        string address =
            $"{options.Endpoint}/api/models/{repository.Id}/revision/{Uri.EscapeDataString(repository.Revision)}?blobs=true";
        byte[] text = await transport.Send(
            () => new HttpRequestMessage(HttpMethod.Get, address), repository.ToString(), Body, cancellation)
            .ConfigureAwait(false);
        JsonObject info = Parse(text, address);
        string commit = Text(info["sha"]) ?? throw Unusable(address, "it has no \"sha\"");
        if (commit.Length is < 7 or > 64 || !commit.All(char.IsAsciiLetterOrDigit))
            throw Unusable(address, "its \"sha\" is no commit");
        var files = new List<HubFile>();
        var paths = new HashSet<string>(StringComparer.Ordinal);
        foreach (JsonNode? entry in info["siblings"] as JsonArray ?? throw Unusable(address, "it has no \"siblings\""))
        {
            string path = Text((entry as JsonObject)?["rfilename"])
                ?? throw Unusable(address, "a file has no \"rfilename\"");
            CheckPath(repository, path);
            if (!paths.Add(path)) throw Unusable(address, $"it lists {HubTransport.Quoted(path)} twice");
            JsonObject file = (JsonObject)entry!;
            JsonObject? large = file["lfs"] as JsonObject;
            string? etag = large is null ? Text(file["blobId"]) : Text(large["sha256"]) ?? Text(large["oid"]);
            long? size = Number(large?["size"]) ?? Number(file["size"]);
            files.Add(etag is not null && size is not null ? Checked(new HubFile(path, size.Value, etag), address)
                : await Ask(repository, commit, path, cancellation).ConfigureAwait(false));
        }
        return new HubSnapshot(commit, files);
    }

    /// <summary>The address of a file's content.</summary>
    public string Address(HubRepository repository, string commit, string path) =>
        $"{options.Endpoint}/{repository.Id}/resolve/{commit}/{string.Join('/', path.Split('/').Select(Uri.EscapeDataString))}";

    /// <summary>Sends JSON and reads the JSON that comes back.</summary>
    public async Task<JsonObject> Post(
        Uri address, Func<HttpContent> content, string what, string? accept, CancellationToken cancellation)
    {
        byte[] text = await transport.Send(() =>
        {
            var request = new HttpRequestMessage(HttpMethod.Post, address) { Content = content() };
            if (accept is not null) request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(accept));
            return request;
        }, what, Body, cancellation).ConfigureAwait(false);
        return text.Length == 0 ? [] : Parse(text, address.GetLeftPart(UriPartial.Path));
    }

    // A mirror may list names alone: the file's own headers then tell.
    private async Task<HubFile> Ask(
        HubRepository repository, string commit, string path, CancellationToken cancellation)
    {
        string address = Address(repository, commit, path);
        HubFile? told = null;
        await transport.Send(
            () => new HttpRequestMessage(HttpMethod.Head, address), $"{repository}: {path}", (response, _) =>
        {
            string? Header(string name) => response.Headers.TryGetValues(name, out IEnumerable<string>? values)
                ? values.First() : null;
            string? etag = (Header("X-Linked-Etag") ?? response.Headers.ETag?.Tag)?.Trim('"');
            long? size = long.TryParse(Header("X-Linked-Size"), out long linked) ? linked
                : response.Content.Headers.ContentLength;
            if (etag is not null && size is not null) told = Checked(new HubFile(path, size.Value, etag), address);
            return Task.FromResult(0);
        }, cancellation).ConfigureAwait(false);
        return told ?? throw Unusable(address, "it names neither etag nor size");
    }

    private async Task<byte[]> Body(HttpResponseMessage response, CancellationToken cancellation)
    {
        using Stream stream = await response.Content.ReadAsStreamAsync(cancellation).ConfigureAwait(false);
        using var body = new MemoryStream();
        var buffer = new byte[1 << 16];
        long started = Stopwatch.GetTimestamp();
        for (int read; (read = await transport.Read(stream, buffer, cancellation).ConfigureAwait(false)) > 0;)
        {
            body.Write(buffer, 0, read);
            // A byte now and then is no silence, and no answer either.
            if (Stopwatch.GetElapsedTime(started) > options.LongestAnswer)
                throw new HubException(
                    $"{options.Endpoint} has sent {body.Length} bytes of a short answer in " +
                    $"{options.LongestAnswer.TotalSeconds:0.##} s, and goes on. Check the network and HF_ENDPOINT, " +
                    "or set HF_HUB_OFFLINE=1 to use what the cache holds.");
            if (body.Length > MostBytes)
                throw new HubException(
                    $"{options.Endpoint} answered with more than {MostBytes >> 20} MiB where a short text was " +
                    "expected. Check HF_ENDPOINT.");
        }
        return body.ToArray();
    }

    private static HubFile Checked(HubFile file, string address) => file.Size is >= 0 and <= LargestFile
        && file.Etag.Length is >= 8 and <= 128 && file.Etag.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_')
        ? file
        : throw Unusable(address, $"the etag or size of {HubTransport.Quoted(file.Path)} is none");

    // What a stranger's repository names its files must not decide where on this machine they are written.
    private static void CheckPath(HubRepository repository, string path)
    {
        string[] parts = path.Split('/');
        if (path.Length is 0 or > 1024 || path.Contains('\\') || path.Contains('\0') || path.Contains(':')
            || parts.Any(part => part is "" or "." or ".."))
            throw new InputException(
                $"{repository} lists a file \"{HubTransport.Quoted(path)}\", whose path leaves its folder or is " +
                "none. The repository cannot be used; report it to the Hub.");
    }

    private static JsonObject Parse(byte[] text, string address)
    {
        try
        {
            // Keys that stand twice are refused here, and not where they are looked up.
            return JsonNode.Parse(text, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false })
                as JsonObject ?? throw Unusable(address, "it is no JSON object");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or ArgumentException)
        {
            throw Unusable(address, $"it is no JSON: {HubTransport.Quoted(e.Message)}");
        }
    }

    /// <summary>A text; null for anything else, half a character too.</summary>
    internal static string? Text(JsonNode? node)
    {
        try
        {
            return node is JsonValue value && value.TryGetValue(out string? text) ? text : null;
        }
        catch (InvalidOperationException)
        {
            return null; // what is no character is found only when it is read
        }
    }

    private static long? Number(JsonNode? node) => node is JsonValue value && value.TryGetValue(out long number)
        ? number : null;

    /// <summary>An answer that is not what was asked for.</summary>
    internal static HubException Unusable(string address, string why) =>
        new($"The answer of {address} cannot be used: {why.TrimEnd('.')}. Check HF_ENDPOINT.");
}
