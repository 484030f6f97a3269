using LowRank.IO;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.EndToEndTests;

/// <summary>GGUF files on the command line: adapters and models out, models in.</summary>
public sealed class GgufCommandTests
{
    private static readonly string Input = Path.Combine(TinyModel.Golden, "io.safetensors");
    private static readonly string Adapter = Path.Combine(TinyModel.Golden, "lora");

    [Fact]
    public void An_adapter_goes_to_GGUF_and_back_and_a_merged_file_is_a_base()
    {
        using var folder = new TemporaryFolder();
        CommandResult Run(params string[] arguments) => CommandLine.RunWith(
            new Dictionary<string, string> { ["XDG_CACHE_HOME"] = folder["cache"] }, arguments);
        Run("convert", Adapter, "--to", "gguf", "--model", TinyModel.Golden, "--output", folder["a.gguf"]).Succeeded();
        Run("convert", folder["a.gguf"], "--to", "peft", "--model", TinyModel.Golden, "--output", folder["back"])
            .Succeeded();
        Run("merge", "--model", TinyModel.Golden, "--adapter", folder["back"], "--to", "gguf", "--type", "f32",
            "--output", folder["merged.gguf"]).Succeeded();
        CommandResult base_ =
            Run("convert", TinyModel.Golden, "--to", "gguf", "--type", "q8_0", "--output", folder["base.gguf"])
            .Succeeded();
        Assert.Contains("has no tokenizer", base_.Error, StringComparison.Ordinal);
        Run("logits", "--model", folder["merged.gguf"], "--input", Input, "--output", folder["l"]).Succeeded();
        using var scope = NewDisposeScope();
        using SafeTensorsFile found = SafeTensorsFile.Open(folder["l"]), expected = SafeTensorsFile.Open(Input);
        Assert.InRange(
            (found.Map("logits") - expected.Map("logits.merged")).abs().max().item<float>(), 0, 1e-4);

        CommandResult named = Run("convert", Adapter, "--to", "gguf", "--output", folder["b.gguf"]);
        Assert.Equal(2, named.ExitCode);
        Assert.Contains("Name the base's folder with --model", named.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void An_adapter_is_trained_on_a_quantised_file()
    {
        using var folder = new TemporaryFolder();
        var cache = new Dictionary<string, string> { ["XDG_CACHE_HOME"] = folder["cache"] };
        CommandLine.Run("convert", TinyModel.Golden, "--to", "gguf", "--type", "q8_0", "--output", folder["base.gguf"])
            .Succeeded();
        File.WriteAllLines(folder["rows.jsonl"], Enumerable.Range(10, 12).Select(id => $"[1, {id}, {id + 1}, {id + 2}]")
            .Select(ids => $"{{\"input_ids\": {ids}, \"labels\": {ids}}}"));
        File.WriteAllText(folder["run.yaml"],
            "model: base.gguf\ndata:\n  train: rows.jsonl\nadapter:\n  rank: 2\ntraining:\n  steps: 2\n" +
            "  batch_size: 4\noutput: run\n");
        CommandLine.RunWith(cache, "train", folder["run.yaml"]).Succeeded();
        Assert.True(File.Exists(Path.Combine(folder["run"], "adapter", "adapter_model.safetensors")));
        CommandLine.RunWith(cache, "logits", "--model", folder["base.gguf"], "--adapter",
            Path.Combine(folder["run"], "adapter"), "--input", Input, "--output", folder["l"]).Succeeded();
    }
}
