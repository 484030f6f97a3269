using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Hub;

/// <summary>Queries the Hub's API for the content of a repository.</summary>
internal sealed class HubClient(HubOptions options, HubTransport transport)
{
    private const int MostBytes = 64 << 20; // a larger listing is not valid
    // 2 TB: a larger size is not valid, and sums of such sizes would overflow
    private const long LargestFile = 1L << 41;

    /// <summary>The commit of a revision, and its files.</summary>
    /// <exception cref="InputException">There is no such repository or revision, it is private, or its listing contains
    /// a path that leaves its folder.</exception>
    /// <exception cref="HubException">The Hub could not be reached, or its answer is not a listing.</exception>
    public async Task<HubSnapshot> List(HubRepository repository, CancellationToken cancellation)
    {
        string address =
            $"{options.Endpoint}/api/models/{repository.Id}/revision/{Uri.EscapeDataString(repository.Revision)}" +
            $"?blobs=true";
        byte[] text = await transport.Send(
            () => new HttpRequestMessage(HttpMethod.Get, address), repository.ToString(), Body, cancellation)
            .ConfigureAwait(false);
        JsonObject info = Parse(text, address);
        string commit = Text(info["sha"]) ?? throw Unusable(address, "it has no \"sha\"");
        if (commit.Length is < 7 or > 64 || !commit.All(char.IsAsciiLetterOrDigit))
            throw Unusable(address, "its \"sha\" is not a commit");
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

    /// <summary>The URL of a file's content.</summary>
    public string Address(HubRepository repository, string commit, string path) =>
        $"{options.Endpoint}/{repository.Id}/resolve/{commit}/{string.Join('/', path.Split('/')
            .Select(Uri.EscapeDataString))}";

    /// <summary>Sends JSON and reads the JSON response.</summary>
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

    // A mirror may list only names; the file's headers then contain the rest.
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
            long? size = long.TryParse(Header("X-Linked-Size"), CultureInfo.InvariantCulture, out long linked) ? linked
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
            // Limits the total time, because a slow trickle of bytes is not silence.
            if (Stopwatch.GetElapsedTime(started) > options.LongestAnswer)
                throw new HubException(
                    $"{options.Endpoint} has sent {body.Length} bytes of a short answer in " +
                    $"{options.LongestAnswer.TotalSeconds:0.##} s and has not finished. Check the network and " +
                    "HF_ENDPOINT, or set HF_HUB_OFFLINE=1 to use the cached files.");
            if (body.Length > MostBytes)
                throw new HubException(
                    $"{options.Endpoint} answered with more than {MostBytes >> 20} MiB instead of a short text. " +
                    "Check HF_ENDPOINT.");
        }
        return body.ToArray();
    }

    private static HubFile Checked(HubFile file, string address) => file.Size is >= 0 and <= LargestFile
        && file.Etag.Length is >= 8 and <= 128 && file.Etag.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_')
        ? file
        : throw Unusable(address, $"the etag or size of {HubTransport.Quoted(file.Path)} is invalid");

    // File names in a foreign repository must not decide where files are written on this machine.
    private static void CheckPath(HubRepository repository, string path)
    {
        string[] parts = path.Split('/');
        if (path.Length is 0 or > 1024 || path.Contains('\\') || path.Contains('\0') || path.Contains(':')
            || parts.Any(part => part is "" or "." or ".."))
            throw new InputException(
                $"{repository} lists a file \"{HubTransport.Quoted(path)}\", whose path leaves its folder or is " +
                "invalid. The repository cannot be used; report it to the Hub.");
    }

    private static JsonObject Parse(byte[] text, string address)
    {
        try
        {
            // Duplicate keys are refused here instead of on lookup.
            return JsonNode.Parse(text, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false })
                as JsonObject ?? throw Unusable(address, "it is not a JSON object");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or ArgumentException)
        {
            throw Unusable(address, $"it is not JSON: {HubTransport.Quoted(e.Message)}");
        }
    }

    /// <summary>A text; null for anything else, including an unpaired surrogate.</summary>
    internal static string? Text(JsonNode? node)
    {
        try
        {
            return node is JsonValue value && value.TryGetValue(out string? text) ? text : null;
        }
        catch (InvalidOperationException)
        {
            return null; // an invalid character is only found when it is read
        }
    }

    private static long? Number(JsonNode? node) => node is JsonValue value && value.TryGetValue(out long number)
        ? number : null;

    /// <summary>The error for an unusable answer.</summary>
    internal static HubException Unusable(string address, string why) =>
        new($"The answer of {address} cannot be used: {why.TrimEnd('.')}. Check HF_ENDPOINT.");
}
