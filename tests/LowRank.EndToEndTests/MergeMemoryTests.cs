using System.Diagnostics;
using LowRank.Adapters;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.EndToEndTests;

/// <summary>Merging keeps one weight in memory at a time, so that the memory does not grow with the number of
/// layers.</summary>
public sealed class MergeMemoryTests
{
    private const int Few = 2, Many = 26;

    [Fact]
    public void A_model_of_many_layers_needs_no_more_memory_than_one_of_few()
    {
        using var folder = new TemporaryFolder();
        foreach (int layers in (int[])[Few, Many]) Draw(folder[$"{layers}"], layers);
        long more = new FileInfo(folder[$"{Many}/model.safetensors"]).Length
            - new FileInfo(folder[$"{Few}/model.safetensors"]).Length;
        foreach (string[] arguments in (string[][])[["--output", "{0}.merged"],
            ["--to", "gguf", "--type", "q8_0", "--output", "{0}.gguf"]])
        {
            long[] peaks = [.. ((int[])[Few, Many]).Select(layers => Peak(folder.Path,
                ["merge", "--model", $"{layers}", "--adapter", $"{layers}/adapter",
                    .. arguments.Select(argument => argument.Replace("{0}", $"{layers}", StringComparison.Ordinal))]))];
            Assert.True(peaks[1] - peaks[0] < more / 2,
                $"{peaks[1] >> 20} MB for {Many} layers, {peaks[0] >> 20} MB for {Few}, and the files differ by " +
                $"{more >> 20} MB");
        }
    }

    private static void Draw(string folder, int layers)
    {
        using var scope = NewDisposeScope();
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "config.json"), $$"""
            {"model_type": "llama", "hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": {{layers}},
             "num_attention_heads": 8, "num_key_value_heads": 8, "vocab_size": 64, "max_position_embeddings": 64}
            """);
        using PretrainedModel drawn = PretrainedModel.FromScratch(folder, seed: 1);
        IO.SafeTensorsWriter.Write(Path.Combine(folder, "model.safetensors"), [.. drawn.Network.Parameters.Select(
            weight => KeyValuePair.Create(weight.Key, weight.Value.to(ScalarType.BFloat16)))]);
        using Adapter adapter = Adapter.Create(
            drawn, new LoraConfig { Rank = 2, TargetModules = ModuleSelection.AllLinear }, 1);
        adapter.Save(Path.Combine(folder, "adapter"));
    }

    private static long Peak(string folder, string[] arguments)
    {
        using Process process = CommandLine.Start(folder, arguments);
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        long peak = 0;
        while (!process.WaitForExit(5))
        {
            try
            {
                process.Refresh();
                peak = Math.Max(peak, process.PeakWorkingSet64);
            }
            catch (InvalidOperationException) when (process.HasExited)
            {
                // It ended between the two calls; the last peak stands.
            }
        }
        Assert.True(process.ExitCode == 0, output.GetAwaiter().GetResult() + error.GetAwaiter().GetResult());
        return peak;
    }
}
