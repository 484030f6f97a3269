using System.Net;
using System.Text;
using LowRank.Hub;

namespace LowRank.Tests.Hub;

/// <summary>A Hub that lies, drips or is silent: what it says is refused with words and in bounded time, nothing goes
/// where it must not, and no commit points to what was not sent.</summary>
public sealed class HubLiesTests : IDisposable
{
    private const string Listing = "/api/models/org/name/revision/main",
        Preupload = "/api/models/org/name/preupload/main", Batch = "/org/name.git/info/lfs/objects/batch",
        Commit = "/api/models/org/name/commit/main";
    private static readonly HubRepository Repository = new("org/name");
    private readonly FakeHub hub = new();
    private readonly string folder = Directory.CreateTempSubdirectory("lowrank-lies-").FullName,
        cache = Directory.CreateTempSubdirectory("lowrank-lies-cache-").FullName;
    private readonly byte[] weights = [.. Enumerable.Range(0, 5000).Select(i => (byte)(i * 7))];

    public HubLiesTests()
    {
        File.WriteAllText(Path.Combine(folder, "adapter_config.json"), "{\"r\": 8}");
        File.WriteAllBytes(Path.Combine(folder, "adapter_model.safetensors"), weights);
        hub.Add("config.json", "{}"u8.ToArray());
        hub.Add("model.safetensors", [1, 2, 3], isLarge: true);
    }

    private HubOptions Options => hub.Options(cache) with { Token = "hf_secret" };

    private string Oid => FakeHub.Sha256(weights);

    public void Dispose()
    {
        hub.Dispose();
        Directory.Delete(folder, recursive: true);
        Directory.Delete(cache, recursive: true);
    }

    [Theory]
    [InlineData("{}", "did not say where to send adapter_model.safetensors")]
    [InlineData("{\"message\": \"over \\u001b[31mquota\"}",
        "did not say where to send adapter_model.safetensors: over \uFFFD[31mquota")]
    [InlineData("{\"objects\": {}}", "did not say where to send")]
    [InlineData("{\"objects\": [7]}", "an object has no \"oid\"")]
    [InlineData("{\"objects\": [{\"oid\": 7}]}", "an object has no \"oid\"")]
    [InlineData("{\"objects\": [{\"oid\": \"abc\"}]}", "not to be sent: abc")]
    [InlineData("{\"objects\": [{\"oid\": \"OID\", \"error\": \"no room\"}]}", "the Hub refuses it: no room")]
    [InlineData("{\"objects\": [{\"oid\": \"OID\", \"error\": {\"message\": 5, \"code\": \"x\"}}]}",
        "the Hub refuses it")]
    [InlineData("{\"objects\": [{\"oid\": \"OID\", \"error\": 5}]}", "the Hub refuses it: 5")]
    [InlineData("{\"objects\": [{\"oid\": \"OID\"}, {\"oid\": \"OID\"}]}", "it names adapter_model.safetensors twice")]
    [InlineData("{\"objects\": [{\"oid\": \"OID\", \"actions\": {}}]}", "does not say where to send it")]
    [InlineData("{\"objects\": [{\"oid\": \"OID\", \"actions\": 5}]}", "does not say where to send it")]
    [InlineData("{\"objects\": [{\"oid\": \"OID\", \"actions\": {\"upload\": {}}}]}", "named no address")]
    [InlineData("{\"objects\": [{\"oid\": \"OID\", \"actions\": {\"upload\": {\"href\": 5}}}]}", "named no address")]
    [InlineData("{\"objects\": [{\"oid\": \"OID\", \"actions\": {\"upload\": {\"href\": \"put/here\"}}}]}",
        "named the address \"put/here\"")]
    [InlineData("{\"objects\": [{\"oid\": \"OID\", \"actions\": {\"upload\": {\"href\": \"///\"}}}]}",
        "which is invalid")]
    [InlineData("{\"objects\": [{\"oid\": \"OID\", \"actions\": {\"upload\": {\"href\": \"file:///etc/passwd\"}}}]}",
        "Expected a full http or https address")]
    [InlineData("{\"objects\": [{\"oid\": \"OID\", \"actions\": {\"upload\": {\"href\": \"ftp://host/x\"}}}]}",
        "not an http or https address")]
    [InlineData(
        "{\"objects\": [{\"oid\": \"OID\", \"actions\": {\"upload\": {\"href\": \"STORE/OID\"}, \"verify\": " +
        "{\"href\": \"file://host/x\"}}}]}", "not an http or https address")]
    [InlineData(
        "{\"objects\": [{\"oid\": \"OID\", \"actions\": {\"upload\": {\"href\": \"STORE/OID\", \"header\": " +
        "{\"chunk_size\": \"0\"}}}}]}", "parts of \"0\" bytes")]
    [InlineData(
        "{\"objects\": [{\"oid\": \"OID\", \"actions\": {\"upload\": {\"href\": \"STORE/OID\", \"header\": " +
        "{\"chunk_size\": \"9223372036854775807\"}}}}]}", "addresses for 0 parts of 5000 bytes; the file has 1")]
    [InlineData(
        "{\"objects\": [{\"oid\": \"OID\", \"actions\": {\"upload\": {\"href\": \"STORE/OID\", \"header\": " +
        "{\"chunk_size\": \"99999999999999999999\"}}}}]}", "parts of \"99999999999999999999\" bytes")]
    [InlineData(
        "{\"objects\": [{\"oid\": \"OID\", \"actions\": {\"upload\": {\"href\": \"STORE/OID\", \"header\": " +
        "{\"chunk_size\": \"5000\", \"99999999999\": \"STORE/x\"}}}}]}", "numbers a part \"99999999999\"")]
    [InlineData(
        "{\"objects\": [{\"oid\": \"OID\", \"actions\": {\"upload\": {\"href\": \"STORE/OID\", \"header\": " +
        "{\"chunk_size\": \"5000\", \"2\": \"STORE/x\"}}}}]}", "numbered from 1")]
    [InlineData(
        "{\"objects\": [{\"oid\": \"OID\", \"actions\": {\"upload\": {\"href\": \"STORE/OID\", \"header\": " +
        "{\"chunk_size\": \"5000\", \"1\": \"file:///x\"}}}}]}", "Expected a full http or https address")]
    public async Task A_push_that_is_not_told_where_to_send_a_file_makes_no_commit(string answer, string expected)
    {
        Answer(Batch, answer);
        Assert.Contains(expected, await Refused());
        Assert.Empty(hub.Committed);
        Assert.DoesNotContain(hub.Requests, request => request.Address.EndsWith(Commit, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("{}", "did not say how to send adapter_config.json, adapter_model.safetensors")]
    [InlineData("{\"files\": [{\"path\": 5, \"uploadMode\": \"lfs\"}]}", "did not say how to send")]
    [InlineData(
        "{\"files\": [{\"path\": \"adapter_config.json\", \"uploadMode\": 5}, {\"path\": " +
        "\"adapter_model.safetensors\", \"uploadMode\": \"lfs\"}]}", "did not say how to send adapter_config.json:")]
    [InlineData("{\"files\": [{\"path\": \"a\", \"uploadMode\": \"lfs\"}, {\"path\": \"a\", \"uploadMode\": \"lfs\"}]}",
        "names a twice")]
    [InlineData("{\"files\": [], \"files\": []}", "is not JSON")]
    [InlineData("[]", "is not a JSON object")]
    [InlineData("\"x\"", "is not a JSON object")]
    public async Task A_push_that_is_not_told_how_makes_no_commit(string answer, string expected)
    {
        Answer(Preupload, answer);
        Assert.Contains(expected, await Refused());
        Assert.Empty(hub.Committed);
    }

    [Fact]
    public async Task A_commit_that_is_not_confirmed_is_no_success()
    {
        Answer(Commit, "{}");
        Assert.Contains("did not say that it made the commit", await Refused());
        Answer(Commit, "{\"commitOid\": 5, \"commitUrl\": 7}");
        Assert.Contains("did not say that it made the commit", await Refused());
        Answer(Commit, "{\"commitOid\": \"abc\", \"commitUrl\": 7}");
        Assert.Equal($"{hub.Endpoint}/org/name/commit/abc",
            await HubUpload.Push(folder, Repository, "m", false, Options));
    }

    [Fact]
    public async Task The_token_goes_to_no_other_host_that_an_answer_names()
    {
        Answer(Batch,
            $"{{\"objects\": [{{\"oid\": \"{Oid}\", \"actions\": {{\"upload\": {{\"href\": " +
            $"\"{hub.Storage}/{Oid}\"}}, \"verify\": {{\"href\": \"{hub.Storage}/verify\"}}}}}}]}}");
        Answer("/verify", "{}");
        await HubUpload.Push(folder, Repository, "m", false, Options);
        (string Method, string Address, string? Range, string? Authorization)[] elsewhere =
            [.. hub.Requests.Where(request => request.Address.StartsWith(hub.Storage, StringComparison.Ordinal))];
        Assert.Equal(2, elsewhere.Length);
        Assert.All(elsewhere, request => Assert.Null(request.Authorization));
    }

    [Theory]
    [InlineData("{\"sha\": \"COMMIT\", \"siblings\": [], \"siblings\": []}", "it is not JSON")]
    [InlineData(
        "{\"sha\": \"COMMIT\", \"siblings\": [{\"rfilename\": \"a\", \"size\": 1, \"blobId\": \"aaaaaaaa\"}, " +
        "{\"rfilename\": \"a\", \"size\": 2, \"blobId\": \"bbbbbbbb\"}]}", "it lists a twice")]
    [InlineData(
        "{\"sha\": \"COMMIT\", \"siblings\": [{\"rfilename\": \"a\", \"size\": 9223372036854775807, \"blobId\": " +
        "\"aaaaaaaa\"}]}", "the etag or size of a is invalid")]
    [InlineData("{\"sha\": \"COMMIT\", \"siblings\": {}}", "it has no \"siblings\"")]
    [InlineData("{\"sha\": 5, \"siblings\": []}", "it has no \"sha\"")]
    [InlineData("{\"sha\": \"COMMIT\", \"siblings\": [5]}", "a file has no \"rfilename\"")]
    [InlineData("{\"sha\": \"\\ud800\", \"siblings\": []}", "cannot be used")]
    public async Task A_listing_that_contradicts_itself_is_refused(string answer, string expected)
    {
        Answer(Listing, answer);
        Assert.Contains(
            expected,
            (await Assert.ThrowsAsync<HubException>(
                () => HubFolder.Fetch(Repository, HubSelection.Model, Options))).Message);
    }

    [Theory]
    [InlineData("///")]
    [InlineData("http://")]
    [InlineData("file:///etc/passwd")]
    [InlineData("ftp://host/x")]
    [InlineData("javascript:alert(1)")]
    public async Task A_redirect_to_what_is_no_address_of_http_is_not_followed(string location)
    {
        hub.Fail(Listing, 302, "Location", location);
        HubException refused = await Assert.ThrowsAsync<HubException>(
            () => HubFolder.Fetch(Repository, HubSelection.Model, Options with { Tries = 1 }));
        Assert.Contains(hub.Endpoint, refused.Message);
        Assert.Single(hub.Requests);
    }

    [Fact]
    public async Task A_listing_that_drips_ends()
    {
        using var done = new CancellationTokenSource();
        hub.Fault(Listing, context =>
        {
            context.Response.SendChunked = true;
            while (!done.IsCancellationRequested)
            {
                context.Response.OutputStream.WriteByte((byte)' ');
                context.Response.OutputStream.Flush();
                Thread.Sleep(5);
            }
            return true;
        });
        HubException refused = await Assert.ThrowsAsync<HubException>(
            () => HubFolder.Fetch(
                Repository, HubSelection.Model, Options with { LongestAnswer = TimeSpan.FromMilliseconds(200) }));
        await done.CancelAsync();
        Assert.Contains("of a short answer in 0.2 s", refused.Message);
        Assert.Single(hub.Requests);
    }

    [Fact]
    public async Task A_server_that_answers_nothing_is_asked_twice()
    {
        using var done = new ManualResetEventSlim();
        for (int i = 0; i < 6; i++) hub.Fault(Listing, _ => { done.Wait(); return true; });
        HubException refused = await Assert.ThrowsAsync<HubException>(
            () => HubFolder.Fetch(
                Repository, HubSelection.Model, Options with { Silence = TimeSpan.FromMilliseconds(100) }));
        done.Set();
        Assert.Contains("in 2 tries; the last time the connection was silent for 0.1 s", refused.Message);
    }

    [Theory]
    [InlineData("hf_a\nX-Evil: 1")]
    [InlineData("hf_a\rb")]
    [InlineData("hf a")]
    [InlineData("hf_ä")]
    public void A_token_that_is_none_is_refused_without_being_shown(string token)
    {
        string message = Assert.Throws<InputException>(
            () => HubOptions.From(name => name == "HF_TOKEN" ? token : name == "HOME" ? "/none" : null)).Message;
        Assert.StartsWith("HF_TOKEN is not a token", message);
        Assert.DoesNotContain(token, message);
        string file = Path.Combine(folder, "token");
        File.WriteAllText(file, token + "\n");
        Assert.StartsWith(
            file, Assert.Throws<InputException>(
                () => HubOptions.From(name => name == "HF_TOKEN_PATH" ? file : name == "HOME" ? "/none"
                : null)).Message);
    }

    private void Answer(string path, string json)
    {
        byte[] body = Encoding.UTF8.GetBytes(
            json.Replace("OID", Oid, StringComparison.Ordinal).Replace("STORE", hub.Storage, StringComparison.Ordinal)
            .Replace("COMMIT", hub.Commit, StringComparison.Ordinal));
        hub.Fault(path, context =>
        {
            context.Response.StatusCode = (int)HttpStatusCode.OK;
            context.Response.ContentLength64 = body.Length;
            context.Response.OutputStream.Write(body);
            context.Response.Close();
            return true;
        });
    }

    private async Task<string> Refused()
    {
        Exception? refused = await Record.ExceptionAsync(() => HubUpload.Push(folder, Repository, "m", false, Options));
        Assert.True(refused is HubException or InputException, refused?.ToString() ?? "it succeeded");
        return refused!.Message;
    }
}
