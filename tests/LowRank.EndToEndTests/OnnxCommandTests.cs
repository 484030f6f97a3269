using System.Globalization;
using System.Text.Json.Nodes;

namespace LowRank.EndToEndTests;

/// <summary>ONNX files on the command line: encoders merged, adapters converted, and the sample.</summary>
public sealed class OnnxCommandTests
{
    [Fact]
    public void A_classifier_that_is_trained_here_runs_in_ONNX_Runtime_alone()
    {
        using TemporaryFolder folder = TaskCommandTests.Base();
        TaskCommandTests.Write(folder, "rows.jsonl",
            i => i % 2 == 0 ? new { text = "anna is good .", label = "praise" }
                : new { text = "bob is bad .", label = "blame" });
        TaskCommandTests.Train(folder, "sequence_classification");
        JsonObject[] answers = TaskCommandTests.Predict(folder, "--adapter", folder["run/adapter"]);
        CommandLine.Run("merge", "--model", folder["base"], "--adapter", folder["run/adapter"], "--to", "onnx",
            "--output", folder["onnx"]).Succeeded();
        string sample = Path.Combine(Path.GetDirectoryName(CommandLine.Built("samples/onnx-classifier"))!,
            "LowRank.Samples.OnnxClassifier.dll");
        CommandResult result = CommandLine.RunProgram(
            sample, CommandLine.Repository, folder["onnx"], "anna is good .", "bob is bad .").Succeeded();
        string Expected(int row) => string.Create(CultureInfo.InvariantCulture,
            $"{answers[row]["label"]} ({answers[row]["probability"]!.GetValue<double>():f3}): ");
        Assert.Equal([Expected(0) + "anna is good .", Expected(1) + "bob is bad ."],
            result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.StartsWith("praise", result.Output, StringComparison.Ordinal);
        string[] needed = [.. Directory.GetFiles(Path.GetDirectoryName(sample)!, "*.dll").Select(Path.GetFileName)!];
        Assert.Contains("LowRank.Tokenizers.dll", needed);
        Assert.DoesNotContain("LowRank.dll", needed);
        Assert.DoesNotContain("TorchSharp.dll", needed);
    }

    [Fact]
    public void An_adapter_becomes_a_file_and_what_cannot_is_refused_with_the_way_out()
    {
        using var folder = new TemporaryFolder();
        string adapter = Path.Combine(TinyModel.Golden, "lora"),
            dora = Path.Combine(TinyModel.Golden, "..", "variants", "dora"),
            qwen = Path.Combine(TinyModel.Golden, "..", "qwen2");
        CommandLine.Run("convert", adapter, "--to", "onnx_adapter", "--output", folder["a.onnx_adapter"]).Succeeded();
        CommandLine.Run("convert", dora, "--to", "onnx_adapter", "--as-lora", "--model", qwen, "--type", "f16",
            "--output", folder["b.onnx_adapter"]).Succeeded();
        Assert.All(["a.onnx_adapter", "b.onnx_adapter"], name =>
            Assert.Equal("TORT"u8.ToArray(), File.ReadAllBytes(folder[name])[4..8]));

        CommandResult refused =
            CommandLine.Run("convert", dora, "--to", "onnx_adapter", "--output", folder["c.onnx_adapter"]);
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("With --as-lora they are expressed as pairs", refused.Error, StringComparison.Ordinal);
        Assert.Contains("'lowrank merge --to onnx'", refused.Error, StringComparison.Ordinal);
        refused = CommandLine.Run("merge", "--model", TinyModel.Golden, "--adapter", adapter, "--to", "onnx",
            "--output", folder["d"]);
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("is a llama model, and ONNX files are made of encoders alone", refused.Error,
            StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder["d"]));

        string bert = Path.Combine(TinyModel.Golden, "..", "bert");
        CommandLine.Run("convert", bert, "--to", "onnx", "--output", folder["bert"]).Succeeded();
        Assert.True(File.Exists(folder["bert/model.onnx"]));
        refused = CommandLine.Run("convert", adapter, "--to", "onnx", "--model", bert, "--output", folder["e"]);
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("is an adapter; expected a model's folder. 'lowrank merge --to onnx'", refused.Error,
            StringComparison.Ordinal);
    }
}
