using System.Globalization;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Hub;

/// <summary>Uploads a folder's files to a repository on the Hub as one commit: large files with LFS, others in the
/// commit itself.</summary>
public static class HubUpload
{
    private const string LfsType = "application/vnd.git-lfs+json";
    private const long MostInCommit = 256 << 20; // bytes of all small files together
    private const int SampleBytes = 512; // from which the Hub recognises text
    private static readonly JsonSerializerOptions Plain =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Uploads a folder.</summary>
    /// <param name="folder">A model's or an adapter's folder. Its files are uploaded, and those in the subfolders of
    /// sentence-transformers modules and additional chat templates.</param>
    /// <param name="repository">The target; created if it does not exist. The revision is a branch.</param>
    /// <param name="message">The commit's first line.</param>
    /// <param name="isPrivate">Whether a new repository is private.</param>
    /// <param name="options">The Hub's settings; the token must allow writing.</param>
    /// <param name="progress">Receives the progress; may be null.</param>
    /// <param name="cancellation">Cancels the upload; the repository is not changed.</param>
    /// <returns>The address of the commit.</returns>
    /// <exception cref="InputException">The folder contains nothing to push, there is no token, or the Hub
    /// refuses.</exception>
    /// <exception cref="HubException">The Hub could not be reached or kept failing.</exception>
    public static async Task<string> Push(string folder, HubRepository repository, string message, bool isPrivate,
        HubOptions options, IHubProgress? progress = null, CancellationToken cancellation = default)
    {
        progress ??= SilentProgress.Instance;
        if (options.IsOffline) throw new InputException("HF_HUB_OFFLINE is set: nothing can be pushed. Unset it.");
        if (options.Token is null)
            throw new InputException(
                "There is no token. Set HF_TOKEN to one that may write (on the Hub: Settings, Access Tokens), or " +
                "log in with Python's 'hf auth login'.");
        if (repository.IsCommit)
            throw new InputException($"{repository}: cannot push to a commit. Name a branch, or none for main.");
        List<HubUploadFile> files = Files(folder);
        using var transport = new HubTransport(options, progress);
        var client = new HubClient(options, transport);
        progress.Started(repository, files.Count, files.Sum(file => file.Size));
        await Create(client, repository, isPrivate, options, cancellation).ConfigureAwait(false);
        HashSet<string> large = await Large(client, repository, files, options, cancellation).ConfigureAwait(false);
        List<HubUploadFile> byLfs = [.. files.Where(file => large.Contains(file.Name))];
        foreach (HubUploadFile file in byLfs) file.Sha256 = Hash(file.Path);
        if (byLfs.Count > 0)
            await SendLarge(transport, client, repository, byLfs, options, progress, cancellation)
                .ConfigureAwait(false);
        string address = await Commit(client, repository, files, large, message, options, cancellation)
            .ConfigureAwait(false);
        foreach (HubUploadFile file in files.Where(file => !large.Contains(file.Name)))
            progress.Received(file.Name, file.Size);
        progress.Finished();
        return address;
    }

    private static List<HubUploadFile> Files(string folder)
    {
        if (!Directory.Exists(folder))
            throw new InputException($"{folder} was not found; expected the folder of an adapter or a model.");
        string[] names =
            [.. Directory.EnumerateFiles(folder).Select(path => Path.GetFileName(path))
            .Where(name => !name.StartsWith('.') && !name.EndsWith(".tmp", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal)];
        if (!names.Contains("adapter_config.json") && !names.Contains("config.json"))
            throw new InputException(
                $"{folder} contains neither adapter_config.json nor config.json, so it is neither an adapter nor a " +
                $"model; found {(names.Length == 0 ? "no files" : string.Join(", ", names.Take(12)))}.");
        if (names.Contains("modules.json")) names = [.. names, .. Modules(folder)];
        names = [.. names, .. Templates(folder)];
        return [.. names.Select(
            name => new HubUploadFile(
                name, Path.Combine(folder, name), new FileInfo(Path.Combine(folder, name)).Length))];
    }

    // The folders of sentence-transformers modules, such as 1_Pooling.
    private static IEnumerable<string> Modules(string folder) =>
        Directory.EnumerateDirectories(folder).Where(module => char.IsAsciiDigit(Path.GetFileName(module)[0]))
        .SelectMany(module => Directory.EnumerateFiles(module)
        .Select(file => $"{Path.GetFileName(module)}/{Path.GetFileName(file)}")).Order(StringComparer.Ordinal);

    // Named chat templates, which have their own folder.
    private static IEnumerable<string> Templates(string folder) =>
        Path.Combine(folder, HubSelection.ChatTemplates) is var templates && Directory.Exists(templates)
        ? Directory.EnumerateFiles(templates, "*.jinja")
        .Select(file => $"{HubSelection.ChatTemplates}/{Path.GetFileName(file)}").Order(StringComparer.Ordinal) : [];

    private static async Task Create(
        HubClient client, HubRepository repository, bool isPrivate, HubOptions options, CancellationToken cancellation)
    {
        string[] parts = repository.Id.Split('/');
        var body = new JsonObject { ["name"] = parts[1], ["organization"] = parts[0], ["type"] = "model",
            ["private"] = isPrivate };
        try
        {
            await client.Post(new Uri($"{options.Endpoint}/api/repos/create"), () => Json(body),
                $"making {repository.Id}", null, cancellation).ConfigureAwait(false);
        }
        catch (InputException e) when (e.Details[0].Code == ProblemCodes.Exists)
        {
            // The repository already exists.
        }
    }

    private static async Task<HashSet<string>> Large(
        HubClient client, HubRepository repository, List<HubUploadFile> files, HubOptions options,
        CancellationToken cancellation)
    {
        var body = new JsonObject
        {
            ["files"] = new JsonArray(
                [.. files.Select(
                    file => (JsonNode)new JsonObject { ["path"] = file.Name, ["size"] = file.Size,
                    ["sample"] = Convert.ToBase64String(Sample(file.Path)) })]),
        };
        string address =
            $"{options.Endpoint}/api/models/{repository.Id}/preupload/{Uri.EscapeDataString(repository.Revision)}";
        JsonObject answer = await client.Post(
            new Uri(address), () => Json(body), $"asking how to push to {repository}", null, cancellation)
            .ConfigureAwait(false);
        var modes = new Dictionary<string, JsonObject>(StringComparer.Ordinal);
        foreach (JsonObject one in (answer["files"] as JsonArray ?? []).OfType<JsonObject>())
            if (HubClient.Text(one["path"]) is { } path && !modes.TryAdd(path, one))
                throw HubClient.Unusable(address, $"it names {HubTransport.Quoted(path)} twice");
        string[] unanswered =
            [.. files.Where(
                file => !modes.ContainsKey(file.Name)
                || HubClient.Text(modes[file.Name]["uploadMode"]) is not ("lfs" or "regular"))
                .Select(file => file.Name)];
        if (unanswered.Length > 0)
            throw new HubException(
                $"{address} did not say how to send {string.Join(", ", unanswered)}: expected \"uploadMode\" lfs " +
                "or regular for each. Nothing was pushed.");
        string[] ignored =
            [.. files.Where(
                file => modes[file.Name]["shouldIgnore"] is JsonValue value && value.TryGetValue(out bool ignore)
                && ignore).Select(file => file.Name)];
        if (ignored.Length > 0)
            throw new InputException(
                $"The repository's .gitignore excludes {string.Join(", ", ignored)}; these would be missing. " +
                "Change the .gitignore first.");
        HashSet<string> large =
            [.. files.Select(file => file.Name).Where(name => HubClient.Text(modes[name]["uploadMode"]) == "lfs")];
        List<HubUploadFile> small = [.. files.Where(file => !large.Contains(file.Name))];
        if (small.Sum(file => file.Size) > MostInCommit)
            throw new HubException(
                $"{address} wants {small.MaxBy(file => file.Size)!.Name} and others, " +
                $"{small.Sum(file => file.Size) >> 20} MB, in the commit itself, where at most " +
                $"{MostInCommit >> 20} MB have room. Nothing was pushed.");
        return large;
    }

    private static async Task SendLarge(HubTransport transport, HubClient client, HubRepository repository,
        List<HubUploadFile> files, HubOptions options, IHubProgress progress, CancellationToken cancellation)
    {
        var body = new JsonObject
        {
            ["operation"] = "upload",
            ["transfers"] = new JsonArray("basic", "multipart"),
            ["objects"] = new JsonArray(
                [.. files.DistinctBy(file => file.Sha256)
                .Select(file => (JsonNode)new JsonObject { ["oid"] = file.Sha256, ["size"] = file.Size })]),
            ["hash_algo"] = "sha256",
            ["ref"] = new JsonObject { ["name"] = repository.Revision },
        };
        string address = $"{options.Endpoint}/{repository.Id}.git/info/lfs/objects/batch";
        JsonObject answer = await client.Post(
            new Uri(address), () => Json(body, LfsType), $"asking where to send the large files of {repository}",
            LfsType, cancellation).ConfigureAwait(false);
        Dictionary<string, JsonObject> given = Objects(answer, files, address);
        foreach ((string oid, JsonObject one) in given)
        {
            HubUploadFile file = files.Find(candidate => candidate.Sha256 == oid)!;
            // the Hub already has this content
            if (one["actions"] is not { } actions) progress.Received(file.Name, file.Size);
            else
                await SendObject(new HubUploadObject(transport, client, file, progress), actions as JsonObject
                    ?? [], transport, client, file, address, cancellation).ConfigureAwait(false);
        }
    }

    private static async Task SendObject(HubUploadObject upload, JsonObject actions, HubTransport transport,
        HubClient client, HubUploadFile file, string address, CancellationToken cancellation)
    {
        if (actions["upload"] is not JsonObject how)
            throw HubClient.Unusable(address, $"it has actions for {file.Name} and does not say where to send it");
        await upload.Send(how, cancellation).ConfigureAwait(false);
        if (actions["verify"] is not { } verify) return;
        Uri check = transport.Named(HubClient.Text((verify as JsonObject)?["href"]), $"checking {file.Name}");
        await client.Post(check, () => Json(new JsonObject { ["oid"] = file.Sha256, ["size"] = file.Size }, LfsType),
            $"checking {file.Name}", LfsType, cancellation).ConfigureAwait(false);
    }

    // The Hub's answer for each file. All files must be covered, or the commit would point to missing content.
    private static Dictionary<string, JsonObject> Objects(JsonObject answer, List<HubUploadFile> files, string address)
    {
        var given = new Dictionary<string, JsonObject>(StringComparer.Ordinal);
        foreach (JsonNode? node in answer["objects"] as JsonArray ?? [])
        {
            string oid = HubClient.Text((node as JsonObject)?["oid"])
                ?? throw HubClient.Unusable(address, "an object has no \"oid\"");
            HubUploadFile file = files.Find(one => one.Sha256 == oid)
                ?? throw HubClient.Unusable(
                    address, $"it names an object that is not to be sent: {HubTransport.Quoted(oid)}");
            if (node!["error"] is { } error)
            {
                string said = HubClient.Text((error as JsonObject)?["message"]) ?? HubClient.Text(error)
                    ?? error.ToJsonString(Plain);
                throw new InputException(
                    $"{file.Name}: the Hub refuses it: " +
                    $"{HubTransport.Quoted(said)}{((error as JsonObject)?["code"] is { } code
                        ? $" ({HubTransport.Quoted(code.ToJsonString())})" : "")}. Nothing was pushed.");
            }
            if (!given.TryAdd(oid, (JsonObject)node)) throw HubClient.Unusable(address, $"it names {file.Name} twice");
        }
        string[] unanswered = [.. files.Where(file => !given.ContainsKey(file.Sha256)).Select(file => file.Name)];
        return unanswered.Length == 0 ? given
            : throw new HubException(
                $"{address} did not say where to send " +
                $"{string.Join(", ", unanswered)}{(HubClient.Text(answer["message"]) is { } message
                    ? $": {HubTransport.Quoted(message)}" : "")}. Nothing was pushed.");
    }

    private static async Task<string> Commit(HubClient client, HubRepository repository, List<HubUploadFile> files,
        HashSet<string> large, string message, HubOptions options, CancellationToken cancellation)
    {
        static JsonObject Line(string key, JsonObject value) => new() { ["key"] = key, ["value"] = value };
        var text = new StringBuilder();
        text.Append(Line("header", new JsonObject { ["summary"] = message, ["description"] = "" }).ToJsonString(Plain))
            .Append('\n');
        foreach (HubUploadFile file in files)
        {
            JsonObject line = large.Contains(file.Name)
                ? Line("lfsFile",
                new JsonObject { ["path"] = file.Name, ["algo"] = "sha256", ["oid"] = file.Sha256,
                ["size"] = file.Size })
                : Line("file",
                    new JsonObject { ["content"] = Convert.ToBase64String(
                        await File.ReadAllBytesAsync(file.Path, cancellation).ConfigureAwait(false)),
                        ["path"] = file.Name, ["encoding"] = "base64" });
            text.Append(line.ToJsonString(Plain)).Append('\n');
        }
        byte[] body = Encoding.UTF8.GetBytes(text.ToString());
        string address =
            $"{options.Endpoint}/api/models/{repository.Id}/commit/{Uri.EscapeDataString(repository.Revision)}";
        JsonObject answer = await client.Post(
            new Uri(address), () => Bytes(body, "application/x-ndjson"), $"the commit to {repository}", null,
            cancellation).ConfigureAwait(false);
        string oid = HubClient.Text(answer["commitOid"])
            ?? throw new HubException(
                $"{address} did not say that it made the commit: \"commitOid\" is missing. Look at " +
                $"{options.Endpoint}/{repository.Id} before you push again.");
        return HubTransport.Quoted(
            HubClient.Text(answer["commitUrl"]) ?? $"{options.Endpoint}/{repository.Id}/commit/{oid}");
    }

    private static byte[] Sample(string path)
    {
        using FileStream stream = File.OpenRead(path);
        var sample = new byte[(int)Math.Min(SampleBytes, stream.Length)];
        stream.ReadExactly(sample);
        return sample;
    }

    private static string Hash(string path)
    {
        using FileStream stream = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    internal static HttpContent Json(JsonObject body, string type = "application/json") =>
        Bytes(Encoding.UTF8.GetBytes(body.ToJsonString(Plain)), type);

    private static ByteArrayContent Bytes(byte[] body, string type) =>
        new(body) { Headers = { ContentType = new MediaTypeHeaderValue(type) } };
}

/// <summary>A file to upload.</summary>
/// <param name="Name">Its path in the repository.</param>
/// <param name="Path">Its local path.</param>
/// <param name="Size">Bytes.</param>
internal sealed record HubUploadFile(string Name, string Path, long Size)
{
    /// <summary>Its SHA-256, if it is uploaded with LFS; empty before it is known.</summary>
    public string Sha256 { get; set; } = "";
}

/// <summary>Sends one large file to the addresses from the Hub, in one piece or in parts.</summary>
internal sealed class HubUploadObject(
    HubTransport transport, HubClient client, HubUploadFile file, IHubProgress progress)
{
    /// <summary>Sends the file.</summary>
    /// <param name="upload">The Hub's "upload" action: href, and in "header" either headers, or chunk_size and an
    /// address per part.</param>
    /// <param name="cancellation">Cancels the operation.</param>
    public async Task Send(JsonObject upload, CancellationToken cancellation)
    {
        Uri address = transport.Named(HubClient.Text(upload["href"]), $"sending {file.Name}");
        var header = (upload["header"] as JsonObject ?? [])
            .ToDictionary(entry => entry.Key, entry => entry.Value?.ToString() ?? "");
        if (!header.TryGetValue("chunk_size", out string? chunk))
        {
            await Put(address, header, 0, file.Size, cancellation).ConfigureAwait(false);
            return;
        }
        if (!long.TryParse(chunk, NumberStyles.None, CultureInfo.InvariantCulture, out long size) || size < 1)
            throw new HubException(
                $"{file.Name}: the Hub asks for parts of \"{HubTransport.Quoted(chunk)}\" bytes, expected a number " +
                "above 0.");
        size = Math.Min(size, Math.Max(1, file.Size)); // a part is at most the whole file
        long count = (file.Size + size - 1) / size;
        Uri[] parts = Parts(header, count, size);
        var sent = new JsonArray();
        for (int part = 0; part < parts.Length; part++)
        {
            string etag = await Put(parts[part], [], part * size, Math.Min(size, file.Size - part * size), cancellation)
                .ConfigureAwait(false)
                ?? throw new HubException($"{file.Name}: the storage server gave no etag for part {part + 1}.");
            sent.Add((JsonNode)new JsonObject { ["partNumber"] = part + 1, ["etag"] = etag });
        }
        var body = new JsonObject { ["oid"] = file.Sha256, ["parts"] = sent };
        await client.Post(address, () => HubUpload.Json(body, "application/vnd.git-lfs+json"),
            $"ending the upload of {file.Name}", "application/vnd.git-lfs+json", cancellation).ConfigureAwait(false);
    }

    // Numeric keys are part numbers, from 1; other keys have other meanings.
    private Uri[] Parts(Dictionary<string, string> header, long count, long size)
    {
        var addresses = new SortedDictionary<int, string>();
        foreach ((string key, string value) in header.Where(entry => entry.Key.All(char.IsAsciiDigit)))
            if (!int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
                || !addresses.TryAdd(number, value))
                throw new HubException($"{file.Name}: the Hub numbers a part \"{HubTransport.Quoted(key)}\".");
        if (addresses.Count != count || addresses.Keys.Where((number, at) => number != at + 1).Any())
            throw new HubException(
                $"{file.Name}: the Hub gave addresses for {addresses.Count} parts of {size} bytes; the file has " +
                $"{count}, numbered from 1.");
        return [.. addresses.Values.Select(address => transport.Named(address, $"sending {file.Name}"))];
    }

    private async Task<string?> Put(
        Uri address, Dictionary<string, string> header, long from, long length, CancellationToken cancellation)
    {
        string? etag = await transport.Send(() =>
        {
            var stream = new FileStream(file.Path, FileMode.Open, FileAccess.Read, FileShare.Read);
            var part = new FilePart(stream, from, length);
            var request = new HttpRequestMessage(HttpMethod.Put, address) { Content = new StreamContent(part) };
            request.Options.Set(HubTransport.SentPart, part);
            request.Content.Headers.ContentLength = length;
            foreach ((string name, string value) in header)
                if (!request.Headers.TryAddWithoutValidation(name, value))
                    request.Content.Headers.TryAddWithoutValidation(name, value);
            return request;
        }, $"sending {file.Name}", (response, _) =>
            Task.FromResult(response.Headers.TryGetValues("ETag", out IEnumerable<string>? values) ? values.First()
            : null), cancellation).ConfigureAwait(false);
        progress.Received(file.Name, length);
        return etag;
    }
}
