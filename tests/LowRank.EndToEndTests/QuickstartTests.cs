using System.Text.Json;

namespace LowRank.EndToEndTests;

public sealed class QuickstartTests
{
    [Fact]
    public void The_quickstart_teaches_the_base_model_the_task()
    {
        using var folder = new TemporaryFolder();
        CommandLine.Run("train", "recipes/quickstart.yaml", "--set", $"output={folder["run"]}").Succeeded();
        JsonElement comparison = JsonDocument.Parse(File.ReadAllText(folder["run/comparison.json"])).RootElement;
        Assert.InRange(Share(comparison.GetProperty("before")), 0, 0.05);
        Assert.InRange(Share(comparison.GetProperty("after")), 0.9, 1);

        string[] model = ["--model", "models/base", "--adapter", folder["run/adapter"]];
        string text = CommandLine.Run(["generate", .. model, "--prompt", comparison.GetProperty("prompts")[0].GetString()!]).Succeeded().Output;
        Assert.Equal(comparison.GetProperty("after").GetProperty("texts")[0].GetString(), text.Trim());
    }

    [Fact]
    public void The_library_sample_runs()
    {
        string sample = CommandLine.Assembly.Replace("LowRank.Cli.dll", "LowRank.Samples.Library.dll", StringComparison.Ordinal)
            .Replace(Path.Combine("src", "LowRank.Cli"), Path.Combine("samples", "library"), StringComparison.Ordinal);
        CommandResult result = CommandLine.RunProgram(sample, CommandLine.Repository).Succeeded();
        Assert.Contains("The Blue Lamp", result.Output, StringComparison.Ordinal);
    }

    private static double Share(JsonElement side) =>
        side.GetProperty("facts_stated").GetDouble() / side.GetProperty("facts").GetDouble();
}
