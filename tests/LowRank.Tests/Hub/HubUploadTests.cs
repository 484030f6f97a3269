using System.Text;
using System.Text.Json.Nodes;
using LowRank.Hub;

namespace LowRank.Tests.Hub;

public sealed class HubUploadTests : IDisposable
{
    private static readonly HubRepository Repository = new("org/name");
    private readonly FakeHub hub = new() { RequiredToken = "hf_w" };
    private readonly string folder = Directory.CreateTempSubdirectory("lowrank-push-").FullName;
    private readonly byte[] weights = new byte[100_001];

    public HubUploadTests()
    {
        new Random(2).NextBytes(weights);
        File.WriteAllText(Path.Combine(folder, "adapter_config.json"), "{\"r\": 8}");
        File.WriteAllBytes(Path.Combine(folder, "adapter_model.safetensors"), weights);
        File.WriteAllText(Path.Combine(folder, ".hidden"), "no");
    }

    private HubOptions Options => hub.Options("/nowhere") with { Token = "hf_w" };

    public void Dispose()
    {
        hub.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(30_000)]
    public async Task An_adapter_is_pushed_as_one_commit(int partBytes)
    {
        hub.PushPartBytes = partBytes;
        hub.Fail("/api/models/org/name/preupload/main", 503);
        string address = await HubUpload.Push(
            folder, Repository, "A \"better\" adapter", isPrivate: true, Options,
            cancellation: TestContext.Current.CancellationToken);
        Assert.Equal($"{hub.Endpoint}/org/name/commit/{hub.Commit}", address);
        string oid = FakeHub.Sha256(weights);
        Assert.Equal(weights, hub.Stored(oid));
        Assert.Equal([oid], hub.Verified);
        Assert.Equal(["header", "file", "lfsFile"], hub.Committed.Select(line => (string)line["key"]!));
        Assert.Equal("A \"better\" adapter", (string)hub.Committed[0]["value"]!["summary"]!);
        JsonNode file = hub.Committed[1]["value"]!;
        Assert.Equal("adapter_config.json", (string)file["path"]!);
        Assert.Equal("{\"r\": 8}", Encoding.UTF8.GetString(Convert.FromBase64String((string)file["content"]!)));
        Assert.Equal(oid, (string)hub.Committed[2]["value"]!["oid"]!);
        Assert.Equal(weights.Length, (int)hub.Committed[2]["value"]!["size"]!);
        Assert.All(hub.Requests.Where(request => request.Address.StartsWith(hub.Storage, StringComparison.Ordinal)),
            request => Assert.Null(request.Authorization));
    }

    [Fact]
    public async Task Further_chat_templates_are_sent_from_their_folder()
    {
        string templates = Directory.CreateDirectory(Path.Combine(folder, "additional_chat_templates")).FullName;
        File.WriteAllText(Path.Combine(templates, "tool_use.jinja"), "{{ tools }}");
        Directory.CreateDirectory(Path.Combine(folder, "other"));
        File.WriteAllText(Path.Combine(folder, "other", "notes.txt"), "no");
        await HubUpload.Push(
            folder, Repository, "templates", isPrivate: false, Options,
            cancellation: TestContext.Current.CancellationToken);
        Assert.Equal(["adapter_config.json", "adapter_model.safetensors", "additional_chat_templates/tool_use.jinja"],
            hub.Committed.Skip(1).Select(line => (string)line["value"]!["path"]!).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task What_the_Hub_has_is_not_sent_again()
    {
        hub.Add("adapter_model.safetensors", weights, isLarge: true); // the repository exists: making it answers 409
        await HubUpload.Push(
            folder, Repository, "again", isPrivate: false, Options,
            cancellation: TestContext.Current.CancellationToken);
        Assert.DoesNotContain(hub.Requests, request => request.Method == "PUT");
        Assert.Equal(3, hub.Committed.Count);
    }

    [Fact]
    public async Task What_cannot_be_pushed_is_refused_before_any_request()
    {
        async Task<string> Refusal(string path, HubRepository repository, HubOptions options) =>
            (await Assert.ThrowsAsync<InputException>(
                () => HubUpload.Push(path, repository, "m", false, options))).Message;
        Assert.Contains("HF_TOKEN", await Refusal(folder, Repository, Options with { Token = null }));
        Assert.Contains("HF_HUB_OFFLINE", await Refusal(folder, Repository, Options with { IsOffline = true }));
        Assert.Contains("branch", await Refusal(folder, Repository with { Revision = new string('a', 40) }, Options));
        Assert.Contains("was not found", await Refusal(folder + "-none", Repository, Options));
        File.Delete(Path.Combine(folder, "adapter_config.json"));
        Assert.Contains("adapter_config.json", await Refusal(folder, Repository, Options));
        Assert.Empty(hub.Requests);
    }

    [Fact]
    public async Task A_token_that_may_not_write_is_told_so()
    {
        hub.Fail("/api/repos/create", 403);
        Assert.Contains(
            "refused",
            (await Assert.ThrowsAsync<InputException>(
                () => HubUpload.Push(folder, Repository, "m", false, Options))).Message);
    }
}
