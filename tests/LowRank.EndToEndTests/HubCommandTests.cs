using System.Text.Json;

namespace LowRank.EndToEndTests;

/// <summary>Models and adapters by name, as processes against a server that behaves as the Hub.</summary>
public sealed class HubCommandTests : IDisposable
{
    private readonly TinyModel model = new();
    private readonly FakeHub hub = new() { RequiredToken = "hf_tests_token" };
    private readonly Dictionary<string, string> environment;

    public HubCommandTests()
    {
        foreach (string file in Directory.EnumerateFiles(model.Folder))
            hub.Add(Path.GetFileName(file), File.ReadAllBytes(file),
                isLarge: file.EndsWith(".safetensors", StringComparison.Ordinal));
        environment = new()
        {
            ["HF_ENDPOINT"] = hub.Endpoint, ["HF_HOME"] = model["home"], ["HF_TOKEN"] = "hf_tests_token",
                ["HF_HUB_OFFLINE"] = "0", ["HF_HUB_CACHE"] = "",
        };
    }

    public void Dispose()
    {
        hub.Dispose();
        model.Dispose();
    }

    [Fact]
    public void A_model_is_trained_by_its_name_and_the_adapter_pushed()
    {
        string recipe = model.Recipe("steps: 2").Replace('\\', '/');
        File.WriteAllText(recipe, File.ReadAllText(recipe).Replace("model: model", "model: org/name"));
        CommandResult trained = CommandLine.RunWith(environment, "train", recipe).Succeeded();
        Assert.Contains("org/name: 4 files", trained.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("hf_tests_token", trained.Output + trained.Error, StringComparison.Ordinal);
        Assert.Contains("model: \"org/name\"", File.ReadAllText(model["run/recipe.yaml"]), StringComparison.Ordinal);
        Assert.Equal("org/name",
            JsonDocument.Parse(File.ReadAllText(model["run/adapter/adapter_config.json"])).RootElement.GetProperty(
                "base_model_name_or_path").GetString());

        string[] prompt = ["--prompt", "3 and 4:", "--max-new-tokens", "4"];
        string here = CommandLine.Run(
            ["generate", "--model", model.Folder, "--adapter", model["run/adapter"], .. prompt]).Succeeded().Output;
        environment["HF_HUB_OFFLINE"] = "1"; // what was fetched is enough from here on
        Assert.Equal(here,
            CommandLine.RunWith(
                environment, ["generate", "--model", "org/name", "--adapter", model["run/adapter"], .. prompt])
                .Succeeded().Output);
        environment["HF_HUB_OFFLINE"] = "0";

        CommandResult pushed =
            CommandLine.RunWith(environment, "push", model["run/adapter"], "org/name", "--message", "first")
            .Succeeded();
        Assert.Contains("/org/name/commit/", pushed.Output, StringComparison.Ordinal);
        Assert.Contains(hub.Committed, line => line["value"]!["path"]?.ToString() == "adapter_model.safetensors");
    }

    [Fact]
    public void A_name_that_is_neither_folder_nor_repository_says_both()
    {
        CommandResult refused = CommandLine.RunWith(environment, "generate", "--model", "models/bsae", "--prompt", "a");
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("no folder models/bsae", refused.Error, StringComparison.Ordinal);
        Assert.Contains("was not found on", refused.Error, StringComparison.Ordinal);
    }
}
