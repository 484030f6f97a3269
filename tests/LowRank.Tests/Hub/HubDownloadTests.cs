using System.Net;
using System.Text;
using LowRank.Hub;

namespace LowRank.Tests.Hub;

/// <summary>Fetching from a server that behaves as the Hub does, well and badly.</summary>
public sealed class HubDownloadTests : IDisposable
{
    private static readonly HubRepository Repository = new("org/name");
    private readonly FakeHub hub = new();
    private readonly string cache = Directory.CreateTempSubdirectory("lowrank-hub-").FullName;
    private readonly Recorder progress = new();
    private readonly byte[] weights = new byte[300_000];

    public HubDownloadTests()
    {
        new Random(1).NextBytes(weights);
        hub.Add("config.json", Encoding.UTF8.GetBytes("{}"));
        hub.Add("tokenizer.json", Encoding.UTF8.GetBytes("{\"model\": 1}"));
        hub.Add("model.safetensors", weights, isLarge: true);
        hub.Add("pytorch_model.bin", weights[..1000], isLarge: true);
        hub.Add("onnx/model.onnx", [1, 2, 3]);
    }

    public void Dispose()
    {
        hub.Dispose();
        Directory.Delete(cache, recursive: true);
    }

    [Fact]
    public async Task A_model_is_fetched_into_the_layout_that_Python_shares()
    {
        string folder = await Fetch();
        Assert.Equal(Path.Combine(cache, "models--org--name", "snapshots", hub.Commit), folder);
        Assert.Equal(["config.json", "model.safetensors", "tokenizer.json"], Directory.EnumerateFiles(folder)
            .Select(Path.GetFileName).Order());
        Assert.Equal(weights, File.ReadAllBytes(Path.Combine(folder, "model.safetensors")));
        Assert.Equal(hub.Commit, File.ReadAllText(Path.Combine(cache, "models--org--name", "refs", "main")));
        Assert.Equal($"../../blobs/{FakeHub.Sha256(weights)}",
            new FileInfo(Path.Combine(folder, "model.safetensors")).LinkTarget);
        Assert.Equal($"../../blobs/{FakeHub.GitSha1(Encoding.UTF8.GetBytes("{}"))}",
            new FileInfo(Path.Combine(folder, "config.json")).LinkTarget);
        Assert.Equal(300_014, progress.Bytes);
        Assert.Equal(300_014, progress.Announced);
        // no partial file is left
        Assert.Equal(3, Directory.EnumerateFiles(Path.Combine(cache, "models--org--name", "blobs")).Count());
    }

    [Fact]
    public async Task What_is_there_is_not_fetched_again()
    {
        await Fetch();
        int before = hub.Requests.Count;
        await Fetch();
        Assert.Equal(before + 1, hub.Requests.Count); // the listing alone
        await HubFolder.Fetch(Repository with { Revision = hub.Commit }, HubSelection.Model, Options());
        Assert.Equal(before + 1, hub.Requests.Count); // a commit never changes
    }

    [Fact]
    public async Task A_new_commit_fetches_what_changed_and_links_the_rest()
    {
        string old = await Fetch();
        hub.Commit = new string('b', 40);
        hub.Add("config.json", Encoding.UTF8.GetBytes("{\"a\": 1}"));
        int before = hub.Requests.Count;
        string folder = await Fetch();
        Assert.NotEqual(old, folder);
        Assert.Equal(before + 2, hub.Requests.Count); // the listing and one file
        Assert.Equal("{\"a\": 1}", File.ReadAllText(Path.Combine(folder, "config.json")));
        Assert.Equal("{}", File.ReadAllText(Path.Combine(old, "config.json")));
        Assert.Equal(weights, File.ReadAllBytes(Path.Combine(folder, "model.safetensors")));
    }

    [Fact]
    public async Task Large_files_come_in_parts_and_small_ones_whole()
    {
        await Fetch();
        Assert.Equal(
            ["bytes=0-65535", "bytes=131072-196607", "bytes=196608-262143", "bytes=262144-299999",
            "bytes=65536-131071"],
            hub.Requests.Where(request => request.Address.StartsWith(hub.Storage, StringComparison.Ordinal))
            .Select(request => request.Range!).Order(StringComparer.Ordinal));
        Assert.All(hub.Requests.Where(request => request.Address.EndsWith("config.json", StringComparison.Ordinal)),
            request => Assert.Null(request.Range));
    }

    [Fact]
    public async Task A_server_without_ranges_is_read_from_the_start()
    {
        hub.HasRanges = false;
        Assert.Equal(weights, File.ReadAllBytes(Path.Combine(await Fetch(), "model.safetensors")));
    }

    [Fact]
    public async Task The_token_reaches_the_Hub_and_never_the_storage_server_or_a_message()
    {
        hub.RequiredToken = "hf_verysecret";
        InputException refused = await Assert.ThrowsAsync<InputException>(() => Fetch());
        Assert.Contains("HF_TOKEN", refused.Message);
        InputException wrong = await Assert.ThrowsAsync<InputException>(
            () => Fetch(Options() with { Token = "hf_othersecret" }));
        Assert.DoesNotContain("othersecret", wrong.ToString());
        HubOptions options = Options() with { Token = "hf_verysecret" };
        Assert.DoesNotContain("verysecret", options.ToString());
        await Fetch(options);
        Assert.All(hub.Requests.Where(request => request.Address.StartsWith(hub.Storage, StringComparison.Ordinal)),
            request => Assert.Null(request.Authorization));
        Assert.Contains(hub.Requests, request => request.Authorization == "Bearer hf_verysecret");
        Assert.DoesNotContain(
            Directory.EnumerateFiles(cache, "*", SearchOption.AllDirectories).Select(File.ReadAllText), text =>
            text.Contains("verysecret"));
    }

    [Theory]
    [InlineData(429, "Retry-After", "0")]
    [InlineData(429, "RateLimit", "\"api\";r=0;t=0")]
    [InlineData(503, null, "")]
    [InlineData(500, null, "")]
    public async Task Limits_and_passing_failures_are_waited_out(int status, string? header, string value)
    {
        hub.Fail("/api/models/org/name/revision/main", status, header, value);
        hub.Fail(hub.Large("model.safetensors"), status, header, value);
        Assert.Equal(weights, File.ReadAllBytes(Path.Combine(await Fetch(), "model.safetensors")));
    }

    [Fact]
    public async Task A_wait_that_is_too_long_is_said_instead_of_waited()
    {
        hub.Fail("/api/models/org/name/revision/main", 429, "Retry-After", "3600");
        HubException limited = await Assert.ThrowsAsync<HubException>(() => Fetch());
        Assert.Contains("3600 s", limited.Message);
        Assert.Contains("HF_TOKEN", limited.Message);
    }

    [Fact]
    public async Task A_failure_that_stays_ends_with_what_failed_and_what_to_do()
    {
        for (int i = 0; i < 10; i++) hub.Fail("/api/models/org/name/revision/main", 502);
        HubException failed = await Assert.ThrowsAsync<HubException>(() => Fetch(Options() with { Tries = 3 }));
        Assert.Contains("3 tries", failed.Message);
        Assert.Contains("502", failed.Message);
        Assert.Contains("HF_HUB_OFFLINE", failed.Message);
        Assert.Equal(3, hub.Requests.Count);
    }

    [Fact]
    public async Task A_cut_connection_goes_on_where_it_was()
    {
        hub.Fault(hub.Large("model.safetensors"), context => Cut(context, 10_000));
        hub.Fault(hub.Large("model.safetensors"), context => Cut(context, 30_000));
        HubOptions one = Options() with { Connections = 1, PartBytes = 1 << 20 };
        Assert.Equal(weights, File.ReadAllBytes(Path.Combine(await Fetch(one), "model.safetensors")));
        Assert.Contains(
            hub.Requests, request => request.Range is { } range && range.EndsWith("-299999", StringComparison.Ordinal)
            && range != "bytes=0-299999");
        Assert.Equal(300_014, progress.Bytes);
    }

    [Fact]
    public async Task An_interrupted_download_keeps_its_parts_for_the_next_one()
    {
        HubOptions one = Options() with { Connections = 1, Tries = 1 };
        hub.Fault(hub.Large("model.safetensors"), _ => false);
        hub.Fault(hub.Large("model.safetensors"), _ => false);
        hub.Fault(hub.Large("model.safetensors"), context => Cut(context, 100));
        await Assert.ThrowsAsync<HubException>(() => Fetch(one));
        int before = hub.Requests.Count;
        Assert.Equal(weights, File.ReadAllBytes(Path.Combine(await Fetch(one), "model.safetensors")));
        Assert.Equal(["bytes=131072-196607", "bytes=196608-262143", "bytes=262144-299999"],
            hub.Requests.Skip(before)
                .Where(request => request.Address.StartsWith(hub.Storage, StringComparison.Ordinal))
                .Select(request => request.Range!).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Content_with_a_wrong_checksum_is_fetched_again_and_never_kept()
    {
        byte[] broken = [.. weights];
        broken[123] ^= 1;
        HubOptions whole = Options() with { PartBytes = 1 << 20 };
        hub.Fault(hub.Large("model.safetensors"), context => Send(context, broken));
        Assert.Equal(weights, File.ReadAllBytes(Path.Combine(await Fetch(whole), "model.safetensors")));
        Assert.Contains(progress.Notes, note => note.Contains("checksum"));
        hub.Commit = new string('c', 40);
        hub.Add("config.json", Encoding.UTF8.GetBytes("[1]"));
        hub.Fault($"/org/name/resolve/{hub.Commit}/config.json",
            context => Send(context, Encoding.UTF8.GetBytes("[2]")));
        hub.Fault($"/org/name/resolve/{hub.Commit}/config.json",
            context => Send(context, Encoding.UTF8.GetBytes("[3]")));
        HubException wrong = await Assert.ThrowsAsync<HubException>(() => Fetch());
        Assert.Contains("config.json", wrong.Message);
        Assert.Contains("twice", wrong.Message);
        Assert.False(
            File.Exists(
                Path.Combine(cache, "models--org--name", "blobs", FakeHub.GitSha1(Encoding.UTF8.GetBytes("[1]")))));
    }

    [Fact]
    public async Task Offline_uses_the_cache_alone()
    {
        HubOptions offline = Options() with { IsOffline = true };
        InputException lacking = await Assert.ThrowsAsync<InputException>(() => Fetch(offline));
        Assert.Contains("HF_HUB_OFFLINE", lacking.Message);
        string folder = await Fetch();
        int before = hub.Requests.Count;
        Assert.Equal(folder, await Fetch(offline));
        Assert.Equal(before, hub.Requests.Count);
        File.Delete(Path.Combine(folder, "model.safetensors"));
        Assert.Contains("lacks files", (await Assert.ThrowsAsync<InputException>(() => Fetch(offline))).Message);
    }

    [Fact]
    public async Task A_Hub_that_cannot_be_reached_leaves_the_cached_files_and_says_so()
    {
        string folder = await Fetch();
        hub.Dispose();
        Assert.Equal(folder, await Fetch(Options() with { Tries = 2 }));
        Assert.Contains(progress.Notes, note => note.Contains("using the cached files"));
    }

    [Fact]
    public async Task A_mirror_that_lists_names_alone_is_asked_for_each_file()
    {
        hub.ListsNamesAlone = true;
        Assert.Equal(weights, File.ReadAllBytes(Path.Combine(await Fetch(), "model.safetensors")));
        Assert.True(File.Exists(Path.Combine(cache, "models--org--name", "blobs", FakeHub.Sha256(weights))));
    }

    [Fact]
    public async Task Pickles_are_taken_only_where_there_is_nothing_else()
    {
        hub.Files.Remove("model.safetensors");
        Assert.Contains("pytorch_model.bin", Directory.EnumerateFiles(await Fetch()).Select(Path.GetFileName));
        hub.Files.Remove("pytorch_model.bin");
        hub.Commit = new string('d', 40);
        Assert.Contains("model.safetensors", (await Assert.ThrowsAsync<InputException>(() => Fetch())).Message);
    }

    [Fact]
    public async Task An_adapter_is_told_from_a_model()
    {
        Assert.Contains(
            "adapter_config.json",
            (await Assert.ThrowsAsync<InputException>(
                () => HubFolder.Fetch(Repository, HubSelection.Adapter, Options()))).Message);
        hub.Files.Clear();
        hub.Add("adapter_config.json", "{}"u8.ToArray());
        hub.Add("adapter_model.safetensors", weights, isLarge: true);
        Assert.Contains("add it as the adapter", (await Assert.ThrowsAsync<InputException>(() => Fetch())).Message);
        string folder = await HubFolder.Fetch(Repository, HubSelection.Adapter, Options());
        Assert.Equal(["adapter_config.json", "adapter_model.safetensors"], Directory.EnumerateFiles(folder)
            .Select(Path.GetFileName).Order());
    }

    [Theory]
    [InlineData("../evil.json")]
    [InlineData("/etc/passwd")]
    [InlineData("a/../../b")]
    [InlineData("a\\..\\b")]
    [InlineData("c:evil")]
    [InlineData("")]
    public async Task A_path_that_leaves_the_folder_is_refused(string path)
    {
        hub.Files[path] = ([1], false);
        Assert.Contains("leaves its folder", (await Assert.ThrowsAsync<InputException>(() => Fetch())).Message);
        Assert.False(Directory.Exists(Path.Combine(cache, "models--org--name")));
    }

    [Fact]
    public async Task Two_processes_fetch_a_file_once()
    {
        await Task.WhenAll(Fetch(), Fetch(), Fetch());
        Assert.Equal(5,
            hub.Requests.Count(request => request.Address.StartsWith(hub.Storage, StringComparison.Ordinal)));
    }

    [Fact]
    public async Task An_unknown_repository_is_named_with_what_to_do()
    {
        InputException unknown = await Assert.ThrowsAsync<InputException>(
            () => HubFolder.Fetch(new HubRepository("org/other", "v1"), HubSelection.Model, Options()));
        Assert.Contains("org/other@v1", unknown.Message);
        Assert.Contains(hub.Endpoint, unknown.Message);
    }

    private Task<string> Fetch(HubOptions? options = null) =>
        HubFolder.Fetch(
            Repository, HubSelection.Model, options ?? Options(), progress, TestContext.Current.CancellationToken);

    private HubOptions Options() => hub.Options(cache);

    // Sends some bytes of what was asked for and drops the connection.
    private bool Cut(HttpListenerContext context, int bytes)
    {
        int from = context.Request.Headers["Range"] is { } range
            ? int.Parse(range["bytes=".Length..].Split('-')[0]) : 0;
        int to = context.Request.Headers["Range"] is { } asked && asked.Split('-')[1] is { Length: > 0 } last
            ? int.Parse(last) : weights.Length - 1;
        context.Response.StatusCode = context.Request.Headers["Range"] is null ? 200 : 206;
        context.Response.ContentLength64 = to - from + 1;
        context.Response.OutputStream.Write(weights, from, bytes);
        context.Response.OutputStream.Flush();
        context.Response.Abort();
        return true;
    }

    private static bool Send(HttpListenerContext context, byte[] content)
    {
        context.Response.ContentLength64 = content.Length;
        context.Response.OutputStream.Write(content);
        context.Response.Close();
        return true;
    }

    private sealed class Recorder : IHubProgress
    {
        public long Announced { get; private set; }

        public long Bytes { get; private set; }

        public List<string> Notes { get; } = [];

        public void Note(string message) => Notes.Add(message);

        public void Started(HubRepository repository, int files, long bytes) => Announced += bytes;

        public void Received(string file, long bytes) => Bytes += bytes;

        public void Finished()
        {
            // What was received says it.
        }
    }
}
