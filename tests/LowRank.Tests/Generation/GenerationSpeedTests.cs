using System.Diagnostics;
using System.Text.Json.Nodes;
using LowRank.Cli.Bench;
using LowRank.Cli.Bench.Generate;
using LowRank.Generation;
using LowRank.Models;
using LowRank.Samples.Understanding;
using LowRank.Tensors;
using LowRank.Tests.Documentation;
using static TorchSharp.torch;

namespace LowRank.Tests.Generation;

/// <summary>Generation as a share of the rate at which this machine reads memory, against the share that docs/performance.md has.</summary>
/// <remarks>Never a time: both sides are measured in turns in one process, and the round in the middle counts. On a machine with
/// other cores, vectors or much faster memory the share is another, and on one that is busy elsewhere it says nothing: there the
/// test is skipped with that reason.</remarks>
[Collection("alone")]
public sealed class GenerationSpeedTests
{
    private const double Kept = 0.8;   // of the recorded share
    private const double Faster = 1.5; // memory this much faster than the recorded one leaves more of the time to what is no reading
    private const int Least = 5; // rounds
    private const double Patience = 20; // seconds until most rounds are undisturbed

    [Fact]
    public void A_step_of_one_sequence_keeps_its_share_of_the_limit()
    {
        JsonObject recorded = PerformancePage.Load(RepositoryFiles.Root)["generate"];
        int threads = recorded["threads"]!.GetValue<int>(), width = recorded["vector_width"]!.GetValue<int>();
        Assert.SkipUnless(OtherWork.IsKnown, "The system does not say whether the machine is busy elsewhere.");
        Assert.SkipUnless(get_num_threads() == threads && ProcessorCores.Physical() == threads, $"The share was recorded with {threads} threads; here are {get_num_threads()} on {ProcessorCores.Physical()} cores.");
        Assert.SkipUnless(GenerateBench.VectorWidth == width, $"The share was recorded with vectors of {width} numbers; here they have {GenerateBench.VectorWidth}.");
        double least = Kept * recorded["share_of_limit"]!.GetValue<double>(), recordedRate = recorded["read_bytes_per_second"]!.GetValue<double>();
        int tokens = recorded["new_tokens"]!.GetValue<int>();
        int[] prompt = [.. Enumerable.Range(1, recorded["prompt"]!.GetValue<int>())];
        using BenchFolder folder = BenchFolder.Open("gpt2-small");
        using PretrainedModel model = PretrainedModel.Open(folder.Path);
        double bytes = new GenerationCost(model.Decoder, prompt.Length).StepBytes(1, tokens - 1);
        using var rate = new ReadRate((long)bytes);
        var way = new GenerationWay(1, adapted: false);
        var generator = new TextGenerator(model.Decoder);
        List<double> reads = [];
        double Share() => Middle.OfQuotients(way.Rounds.Select(seconds => bytes / seconds), reads);
        var others = new OtherWork();
        long begin = Stopwatch.GetTimestamp();
        for (int round = 0; round < Least || (Share() < least && Stopwatch.GetElapsedTime(begin).TotalSeconds < Patience); round++)
        {
            double before = rate.Measure();
            way.Run(generator, [prompt], tokens);
            reads.Add(Math.Max(before, rate.Measure()));
        }
        if (Share() >= least) return;
        string found = $"{Share():0.00} of {Middle.Of(reads) / 1e9:0.0} GB/s, expected at least {least:0.00}";
        Assert.SkipWhen(others.Free < Environment.ProcessorCount - 0.2, $"Other programs leave {others.Free:0.0} of {Environment.ProcessorCount} processors: {found}.");
        Assert.SkipWhen(Middle.Of(reads) > Faster * recordedRate, $"The memory is faster than the recorded {recordedRate / 1e9:0.0} GB/s: {found}.");
        Assert.Fail(found);
    }
}
