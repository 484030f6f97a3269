using LowRank.Hub;

namespace LowRank.Tests.Hub;

public sealed class HubNameTests
{
    [Theory]
    [InlineData("openai-community/gpt2", "openai-community/gpt2", "main")]
    [InlineData("org/name@v1.0", "org/name", "v1.0")]
    [InlineData("org/name@refs/pr/3", "org/name", "refs/pr/3")]
    [InlineData("Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-0.5B", "main")]
    public void Names_are_read(string text, string id, string revision) =>
        Assert.Equal(new HubRepository(id, revision), HubRepository.TryParse(text));

    [Theory]
    [InlineData("gpt2")]
    [InlineData("./org/name")]
    [InlineData("/org/name")]
    [InlineData("org/name/more")]
    [InlineData("../name")]
    [InlineData("org/..")]
    [InlineData("org/a--b")]
    [InlineData("org/name@")]
    [InlineData("org/name@../../x")]
    [InlineData("org/name@.")]
    [InlineData("org/name@a/./b")]
    [InlineData("org/name@a//b")]
    [InlineData("org/name@.hidden")]
    [InlineData("org/name@main.")]
    [InlineData("org/name@main.lock")]
    [InlineData("org/name.")]
    [InlineData("org/name-")]
    [InlineData("org/name\n")]
    [InlineData("org/na me")]
    public void Other_texts_are_none(string text) => Assert.Null(HubRepository.TryParse(text));

    [Fact]
    public void The_environment_is_read_as_Python_reads_it()
    {
        string home = Directory.CreateTempSubdirectory("lowrank-home-").FullName;
        File.WriteAllText(Path.Combine(home, "token"), "hf_fromfile\n");
        HubOptions From(params (string Name, string Value)[] set) =>
            HubOptions.From(name => name == "HOME" ? "/home/me" : set.FirstOrDefault(one => one.Name == name).Value);
        Assert.Equal("/home/me/.cache/huggingface/hub", From().CacheFolder);
        Assert.Equal("https://huggingface.co", From().Endpoint);
        Assert.Equal("/x/huggingface/hub", From(("XDG_CACHE_HOME", "/x")).CacheFolder);
        Assert.Equal(Path.Combine(home, "hub"), From(("HF_HOME", home)).CacheFolder);
        Assert.Equal("/home/me/c", From(("HF_HUB_CACHE", "~/c")).CacheFolder);
        Assert.Equal("hf_fromfile", From(("HF_HOME", home)).Token);
        Assert.Equal("hf_set", From(("HF_HOME", home), ("HF_TOKEN", " hf_set ")).Token);
        Assert.Null(From(("HF_HOME", home), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")).Token);
        Assert.True(From(("HF_HUB_OFFLINE", "1")).IsOffline);
        Assert.False(From(("HF_HUB_OFFLINE", "0")).IsOffline);
        Assert.Equal("http://localhost:8080", From(("HF_ENDPOINT", "http://localhost:8080/")).Endpoint);
        Assert.Contains(
            "HF_ENDPOINT", Assert.Throws<InputException>(() => From(("HF_ENDPOINT", "hub.example"))).Message);
        Directory.Delete(home, recursive: true);
    }

    [Fact]
    public void A_folder_that_exists_wins_over_a_repository()
    {
        Assert.Equal("no/such/folder/here", HubFolder.Open("no/such/folder/here", HubSelection.Model));
        string folder = Directory.CreateTempSubdirectory("lowrank-").FullName;
        Assert.Equal(folder, HubFolder.Open(folder, HubSelection.Model));
        Directory.Delete(folder);
    }
}
