using System.Globalization;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;

namespace LowRank.Hub;

/// <summary>Sends one large file to the addresses that the Hub gave for it: whole, or in parts.</summary>
internal sealed class HubUploadObject(HubTransport transport, HubClient client, HubUploadFile file, IHubProgress progress)
{
    /// <summary>Sends.</summary>
    /// <param name="upload">The Hub's "upload" action: href, and in "header" either headers or chunk_size and an address for each part.</param>
    /// <param name="cancellation">Gives up.</param>
    public async Task Send(JsonObject upload, CancellationToken cancellation)
    {
        Uri address = transport.Named(HubClient.Text(upload["href"]), $"sending {file.Name}");
        var header = (upload["header"] as JsonObject ?? []).ToDictionary(entry => entry.Key, entry => entry.Value?.ToString() ?? "");
        if (!header.TryGetValue("chunk_size", out string? chunk))
        {
            await Put(address, header, 0, file.Size, cancellation).ConfigureAwait(false);
            return;
        }
        if (!long.TryParse(chunk, NumberStyles.None, CultureInfo.InvariantCulture, out long size) || size < 1) throw new HubException($"{file.Name}: the Hub asks for parts of \"{HubTransport.Quoted(chunk)}\" bytes, expected a number above 0.");
        size = Math.Min(size, Math.Max(1, file.Size)); // a part holds the file at most
        long count = (file.Size + size - 1) / size;
        Uri[] parts = Parts(header, count, size);
        var sent = new JsonArray();
        for (int part = 0; part < parts.Length; part++)
        {
            string etag = await Put(parts[part], [], part * size, Math.Min(size, file.Size - part * size), cancellation).ConfigureAwait(false)
                ?? throw new HubException($"{file.Name}: the storage server gave no etag for part {part + 1}.");
            sent.Add((JsonNode)new JsonObject { ["partNumber"] = part + 1, ["etag"] = etag });
        }
        var body = new JsonObject { ["oid"] = file.Sha256, ["parts"] = sent };
        await client.Post(address, () => HubUpload.Json(body, "application/vnd.git-lfs+json"), $"ending the upload of {file.Name}", "application/vnd.git-lfs+json", cancellation).ConfigureAwait(false);
    }

    // The keys are the parts' numbers, from 1; other keys are of other kinds.
    private Uri[] Parts(Dictionary<string, string> header, long count, long size)
    {
        var addresses = new SortedDictionary<int, string>();
        foreach ((string key, string value) in header.Where(entry => entry.Key.All(char.IsAsciiDigit)))
            if (!int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out int number) || !addresses.TryAdd(number, value))
                throw new HubException($"{file.Name}: the Hub numbers a part \"{HubTransport.Quoted(key)}\".");
        if (addresses.Count != count || addresses.Keys.Where((number, at) => number != at + 1).Any())
            throw new HubException($"{file.Name}: the Hub gave addresses for {addresses.Count} parts of {size} bytes; the file has {count}, numbered from 1.");
        return [.. addresses.Values.Select(address => transport.Named(address, $"sending {file.Name}"))];
    }

    private async Task<string?> Put(Uri address, Dictionary<string, string> header, long from, long length, CancellationToken cancellation)
    {
        string? etag = await transport.Send(() =>
        {
            var stream = new FileStream(file.Path, FileMode.Open, FileAccess.Read, FileShare.Read);
            var part = new FilePart(stream, from, length);
            var request = new HttpRequestMessage(HttpMethod.Put, address) { Content = new StreamContent(part) };
            request.Options.Set(HubTransport.SentPart, part);
            request.Content.Headers.ContentLength = length;
            foreach ((string name, string value) in header)
                if (!request.Headers.TryAddWithoutValidation(name, value)) request.Content.Headers.TryAddWithoutValidation(name, value);
            return request;
        }, $"sending {file.Name}", (response, _) => Task.FromResult(response.Headers.TryGetValues("ETag", out IEnumerable<string>? values) ? values.First() : null), cancellation).ConfigureAwait(false);
        progress.Received(file.Name, length);
        return etag;
    }
}
