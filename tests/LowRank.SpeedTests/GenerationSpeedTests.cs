using LowRank.Cli.Bench.Generate;
using LowRank.Generation;
using LowRank.Models;

namespace LowRank.SpeedTests;

/// <summary>Generation as a share of the rate at which this machine reads memory.</summary>
/// <remarks>The memory's speed changes in the course of time, so a step is compared with what was read next to it, and
/// the round in the middle counts.</remarks>
[Collection(MeasuredCollection.Name)]
public sealed class GenerationSpeedTests(MeasuredMachine machine)
{
    private const int Prompt = 256, New = 33;

    [Fact]
    public void A_step_of_one_sequence_keeps_its_share_of_the_limit()
    {
        var check = new ShareCheck(machine, "generation", "B/s");
        int[] prompt = [.. Enumerable.Range(1, Prompt)];
        using PretrainedModel model = PretrainedModel.Open(machine.Model);
        double bytes = new GenerationCost(model.Decoder, Prompt).StepBytes(1, New - 1);
        using var rate = new ReadRate((long)bytes);
        var way = new GenerationWay(1, adapted: false);
        var generator = new TextGenerator(model.Decoder);
        way.Run(generator, [prompt], New); // everything is read from the disk and compiled
        check.Hold(rounds: 9, () =>
        {
            double before = rate.Measure();
            way.Run(generator, [prompt], New);
            double limit = Math.Max(before, rate.Measure());
            return (bytes / way.Rounds[^1] / limit, limit);
        });
    }
}
