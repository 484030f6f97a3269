using System.Text.Json;
using LowRank.IO;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.EndToEndTests;

public sealed class ModelCommandTests
{
    private static readonly string Input = Path.Combine(TinyModel.Golden, "io.safetensors");
    private static readonly string Adapter = Path.Combine(TinyModel.Golden, "lora");

    [Fact]
    public void Logits_of_the_base_the_adapter_and_the_merged_folder_equal_the_reference()
    {
        using var folder = new TemporaryFolder();
        CommandLine.Run("logits", "--model", TinyModel.Golden, "--input", Input, "--output", folder["base.safetensors"])
            .Succeeded();
        Compare(folder["base.safetensors"], "logits");
        CommandLine.Run("logits", "--model", TinyModel.Golden, "--adapter", Adapter, "--input", Input, "--output",
            folder["lora.safetensors"]).Succeeded();
        Compare(folder["lora.safetensors"], "logits.lora");
        CommandLine.Run("merge", "--model", TinyModel.Golden, "--adapter", Adapter, "--output", folder["merged"])
            .Succeeded();
        CommandLine.Run(
            "logits", "--model", folder["merged"], "--input", Input, "--output", folder["merged.safetensors"])
            .Succeeded();
        Compare(folder["merged.safetensors"], "logits.merged");

        CommandResult again =
            CommandLine.Run("merge", "--model", TinyModel.Golden, "--adapter", Adapter, "--output", folder["merged"]);
        Assert.Equal(2, again.ExitCode);
        Assert.Contains("is not empty", again.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Merging_keeps_the_dtype_of_a_half_precision_base()
    {
        using var folder = new TemporaryFolder();
        using (var scope = NewDisposeScope())
        using (Checkpoint golden = Checkpoint.Open(TinyModel.Golden))
        {
            ModelFolder.Write(
                TinyModel.Golden, folder["half"],
                [.. golden.Entries.Keys.Select(
                    name => KeyValuePair.Create(name, golden.Map(name).to(ScalarType.BFloat16)))]);
            CommandLine.Run("merge", "--model", folder["half"], "--adapter", Adapter, "--output", folder["merged"])
                .Succeeded();
            using Checkpoint merged = Checkpoint.Open(folder["merged"]);
            Assert.Equal(golden.Entries.Keys.Order(), merged.Entries.Keys.Order());
            Assert.All(merged.Entries.Values, entry => Assert.Equal(ScalarType.BFloat16, entry.Type));
        }
    }

    [Fact]
    public void Logits_refuses_tokens_outside_the_vocabulary_and_missing_tensors()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        SafeTensorsWriter.Write(
            folder["far.safetensors"], [KeyValuePair.Create("input_ids", tensor(new long[] { 1, 999 }).view(1, 2))]);
        CommandResult far =
            CommandLine.Run(
                "logits", "--model", TinyModel.Golden, "--input", folder["far.safetensors"], "--output", folder["out"]);
        Assert.Equal(2, far.ExitCode);
        Assert.Contains("input_ids has 999, expected 0 to 255", far.Error, StringComparison.Ordinal);
        SafeTensorsWriter.Write(
            folder["other.safetensors"], [KeyValuePair.Create("tokens", tensor(new long[] { 1, 2 }).view(1, 2))]);
        CommandResult other =
            CommandLine.Run(
                "logits", "--model", TinyModel.Golden, "--input", folder["other.safetensors"], "--output",
                folder["out"]);
        Assert.Equal(2, other.ExitCode);
        Assert.Contains("expected input_ids [B,T]", other.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(folder["out"]));
    }

    [Fact]
    public void Generate_streams_what_its_JSON_says_and_repeats_itself_by_seed()
    {
        using var model = new TinyModel();
        string[] greedy = ["generate", "--model", model.Folder, "--prompt", "3 and 4:", "--max-new-tokens", "12"];
        string streamed = CommandLine.Run(greedy).Succeeded().Output;
        JsonElement whole = JsonDocument.Parse(CommandLine.Run([.. greedy, "--json"]).Succeeded().Output).RootElement;
        Assert.Equal(whole.GetProperty("text").GetString() + Environment.NewLine, streamed);
        Assert.InRange(whole.GetProperty("new_tokens").GetInt32(), 1, 12);

        string[] sampled = [.. greedy, "--temperature", "1.5", "--top-k", "50", "--top-p", "0.95", "--seed"];
        Assert.Equal(CommandLine.Run([.. sampled, "7"]).Succeeded().Output, CommandLine.Run([.. sampled, "7"])
            .Succeeded().Output);
        Assert.NotEqual(
            CommandLine.Run([.. sampled, "7"]).Succeeded().Output, CommandLine.Run([.. sampled, "8"])
            .Succeeded().Output);

        CommandResult wrong = CommandLine.Run([.. greedy, "--temperature", "-1", "--top-p", "2"]);
        Assert.Equal(2, wrong.ExitCode);
        Assert.Contains("temperature is -1", wrong.Error, StringComparison.Ordinal);
        Assert.Contains("top-p is 2", wrong.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Eval_gives_loss_perplexity_and_tokens()
    {
        using var model = new TinyModel();
        JsonElement result = JsonDocument.Parse(
            CommandLine.Run("eval", "--model", model.Folder, "--data", model.Data, "--json")
            .Succeeded().Output).RootElement;
        double loss = result.GetProperty("loss").GetDouble();
        Assert.InRange(loss, 4, 8); // random weights over 256 tokens: about ln 256
        Assert.Equal(Math.Exp(loss), result.GetProperty("perplexity").GetDouble(), 1e-9);
        Assert.Equal(24, result.GetProperty("rows").GetInt32());
    }

    [Fact]
    public void Tokenize_goes_there_and_back()
    {
        using var model = new TinyModel();
        File.WriteAllText(model["texts.jsonl"], "{\"text\":\"Grüße, 你好 🦊\"}\n");
        string ids = CommandLine.Run("tokenize", "--model", model.Folder, "--file", model["texts.jsonl"])
            .Succeeded().Output;
        File.WriteAllText(model["ids.jsonl"], ids);
        string text = CommandLine.Run("tokenize", "--model", model.Folder, "--file", model["ids.jsonl"], "--decode")
            .Succeeded().Output;
        Assert.Equal("Grüße, 你好 🦊", JsonDocument.Parse(text).RootElement.GetProperty("text").GetString());
    }

    private static void Compare(string file, string name)
    {
        using var scope = NewDisposeScope();
        using SafeTensorsFile made = SafeTensorsFile.Open(file), golden = SafeTensorsFile.Open(Input);
        Assert.InRange((made.Map("logits") - golden.Map(name)).abs().max().item<float>(), 0, 1e-4);
    }
}
