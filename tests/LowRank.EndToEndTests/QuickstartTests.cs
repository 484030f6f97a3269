using System.Text.Json;

namespace LowRank.EndToEndTests;

public sealed class QuickstartTests
{
    // runs the whole recipe, minutes on two cores, which .ci/run does after the other tests
    private const string Whole = "LOWRANK_QUICKSTART";

    // Enough steps for a loss that falls by half, on rows enough for the texts; the rest of the recipe as it is.
    private static readonly string[] Short =
        ["training.epochs=", "training.steps=24", "training.batch_size=8", "comparison.facts=8",
        "comparison.generations=2", "comparison.max_new_tokens=40"];

    [Fact]
    public void The_quickstart_begins_to_learn_and_its_adapter_writes()
    {
        using var folder = new TemporaryFolder();
        (JsonElement before, JsonElement after) = Run(folder, 1, Short);
        Assert.InRange(after.GetProperty("loss").GetDouble(), 0, before.GetProperty("loss").GetDouble() / 2);
        Assert.Equal((8 * 6, 8 * 6), (before.GetProperty("facts").GetInt32(), after.GetProperty("facts").GetInt32()));
        Assert.Equal(2, after.GetProperty("texts").GetArrayLength());
        foreach (string file in new[] { "adapter_config.json", "adapter_model.safetensors" })
            Assert.True(File.Exists(Path.Combine(folder["run/adapter"], file)), file);
    }

    [Fact]
    public void The_whole_quickstart_teaches_the_base_model_the_task()
    {
        Assert.SkipUnless(
            Environment.GetEnvironmentVariable(Whole) == "1",
            $"runs when {Whole}=1, for minutes and best alone; .ci/run does");
        using var folder = new TemporaryFolder();
        (JsonElement before, JsonElement after) = Run(folder, Environment.ProcessorCount, []);
        Assert.InRange(Share(before), 0, 0.05);
        Assert.InRange(Share(after), 0.9, 1);
    }

    [Fact]
    public void The_library_sample_runs()
    {
        string sample =
            CommandLine.Assembly.Replace("LowRank.Cli.dll", "LowRank.Samples.Library.dll", StringComparison.Ordinal)
            .Replace(Path.Combine("src", "LowRank.Cli"), Path.Combine("samples", "library"), StringComparison.Ordinal);
        using var folder = new TemporaryFolder(); // and not the repository, where its output may lie already
        foreach (string name in new[] { "models", "samples" })
            Directory.CreateSymbolicLink(folder[name], Path.Combine(CommandLine.Repository, name));
        CommandResult result = CommandLine.RunProgram(sample, folder.Path).Succeeded();
        Assert.Contains("The Blue Lamp", result.Output, StringComparison.Ordinal);
        Assert.True(File.Exists(folder["runs/library/adapter_model.safetensors"]));
    }

    // Trains by the recipe, and generates with the adapter what the comparison says that it writes.
    private static (JsonElement Before, JsonElement After) Run(TemporaryFolder folder, int threads, string[] overrides)
    {
        string[] settings =
            [.. overrides.Prepend($"output={folder["run"]}").SelectMany(setting => new[] { "--set", setting })];
        CommandLine.RunWith(CommandLine.Threads(threads), ["train", "recipes/quickstart.yaml", .. settings])
            .Succeeded();
        JsonElement comparison = JsonDocument.Parse(File.ReadAllText(folder["run/comparison.json"])).RootElement;
        string[] model =
            ["--model", "models/base", "--adapter", folder["run/adapter"], "--max-new-tokens", overrides.Length > 0
            ? "40" : "80"];
        string text = CommandLine.Run(
            ["generate", .. model, "--prompt", comparison.GetProperty("prompts")[0].GetString()!]).Succeeded().Output;
        Assert.Equal(comparison.GetProperty("after").GetProperty("texts")[0].GetString()!.Trim(), text.Trim());
        return (comparison.GetProperty("before"), comparison.GetProperty("after"));
    }

    private static double Share(JsonElement side) =>
        side.GetProperty("facts_stated").GetDouble() / side.GetProperty("facts").GetDouble();
}
