using LowRank.Cli.Bench.Generate;
using LowRank.Generation;
using LowRank.Kernels;
using LowRank.Models;

namespace LowRank.SpeedTests;

/// <summary>Generation as a share of the rate at which this machine reads memory; beside torch's operations where no
/// share is recorded.</summary>
/// <remarks>The memory's speed changes in the course of time, so a step is compared with what was read next to it, and
/// the median round counts.</remarks>
[Collection(MeasuredCollection.Name)]
public sealed class GenerationSpeedTests(MeasuredMachine machine)
{
    private const int Prompt = 256, New = 33;

    // Both read every weight once: a kernel that reads memory at a third of its rate is seen on any machine.
    private const double OfTorchs = 0.9;

    [Theory]
    [InlineData("llama-160m")] // weights stored [out, in]
    [InlineData("gpt2-small")] // [in, out]
    public void A_step_of_one_sequence_keeps_its_share_of_the_limit(string shape)
    {
        var check = new ShareCheck(machine, $"generation {shape}", "B/s");
        int[] prompt = [.. Enumerable.Range(1, Prompt)];
        using PretrainedModel model = PretrainedModel.Open(machine.Model(shape));
        double bytes = new GenerationCost(model.Decoder, Prompt).StepBytes(1, New - 1);
        using var rate = new ReadRate((long)bytes);
        GenerationWay way = new(1, adapted: false), plain = new(1, adapted: false);
        var generator = new TextGenerator(model.Decoder);
        way.Run(generator, [prompt], New); // everything is read from the disk and compiled
        var beside = new RatioCheck($"a step of {shape} beside torch's operations", OfTorchs, () =>
        {
            using (KernelForm.UsePlain()) plain.Run(generator, [prompt], New);
            way.Run(generator, [prompt], New);
            return plain.Rounds[^1] / way.Rounds[^1];
        });
        check.Hold(rounds: 9, () =>
        {
            double before = rate.Measure();
            way.Run(generator, [prompt], New);
            double limit = Math.Max(before, rate.Measure());
            return (bytes / way.Rounds[^1] / limit, limit);
        }, beside);
    }
}
