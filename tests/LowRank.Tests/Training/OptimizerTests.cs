using System.Text.Json.Nodes;
using LowRank.Kernels;
using LowRank.Training;
using static TorchSharp.torch;

namespace LowRank.Tests.Training;

/// <summary>Against PyTorch and transformers (ParityTests/Reference/make_optimizer_cases.py).</summary>
public sealed class OptimizerTests
{
    private static JsonNode Fixture =>
        JsonNode.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Fixtures", "optimizer_cases.json")))!;

    [Fact]
    public void Clipping_and_AdamW_follow_PyTorch_step_by_step()
    {
        using var scope = NewDisposeScope();
        int steps = 0, clipped = 0;
        foreach (JsonNode? run in Fixture["adamw"]!.AsArray())
        {
            Tensor[] weights = [tensor(Floats(run!["start"]![0])).view(3, 4), tensor(Floats(run["start"]![1]))];
            foreach (Tensor weight in weights) weight.requires_grad = true;
            double limit = run["limit"]!.GetValue<double>();
            using var optimizer =
                new AdamW([.. weights.Select((w, i) => KeyValuePair.Create($"w{i}", w))], new TrainerOptions
            {
                WeightDecay = run["weight_decay"]!.GetValue<double>(),
                Beta1 = run["beta1"]!.GetValue<double>(),
                Beta2 = run["beta2"]!.GetValue<double>(),
                Epsilon = run["epsilon"]!.GetValue<double>(),
            });
            foreach (JsonNode? step in run["steps"]!.AsArray())
            {
                for (int i = 0; i < 2; i++)
                    weights[i].grad = tensor(Floats(step!["gradients"]![i])).view(weights[i].shape);
                double norm = GradientClipping.Apply(weights, limit);
                Assert.Equal(step!["norm"]!.GetValue<double>(), norm, norm * 1e-6);
                if (limit > 0 && norm > limit) clipped++;
                optimizer.Step(step["rate"]!.GetValue<double>());
                for (int i = 0; i < 2; i++)
                {
                    Close(Floats(step["clipped"]![i]), weights[i].grad!);
                    Close(Floats(step["weights"]![i]), weights[i]);
                }
                steps++;
            }
            Assert.Equal(5, optimizer.StepCount);
        }
        Assert.Equal(15, steps);
        Assert.InRange(clipped, 1, 9);
    }

    [Fact]
    public void Learning_rates_are_those_of_transformers()
    {
        JsonArray schedules = Fixture["schedules"]!.AsArray();
        Assert.Equal(15, schedules.Count);
        foreach (JsonNode? entry in schedules)
        {
            var schedule = new LearningRateSchedule(Enum.Parse<ScheduleKind>(entry!["kind"]!.GetValue<string>()), 2e-4,
                entry["warmup"]!.GetValue<long>(), entry["total"]!.GetValue<long>());
            JsonArray rates = entry["rates"]!.AsArray();
            for (int step = 0; step < rates.Count; step++)
                Assert.Equal(rates[step]!.GetValue<double>(), schedule.At(step), 1e-15);
        }
    }

    [Fact]
    public void A_weight_without_gradient_is_left_alone()
    {
        using var scope = NewDisposeScope();
        Tensor weight = ones(2).requires_grad_(), other = ones(2).requires_grad_();
        using var optimizer =
            new AdamW([KeyValuePair.Create("a", weight), KeyValuePair.Create("b", other)],
            new TrainerOptions { WeightDecay = 0.5 });
        weight.grad = ones(2);
        optimizer.Step(0.1);
        Assert.Equal([1f, 1f], other.data<float>().ToArray());
        Assert.NotEqual([1f, 1f], weight.data<float>().ToArray());
        Assert.Equal(0, GradientClipping.Apply([other], 1));
    }

    private static float[] Floats(JsonNode? node) => [.. node!.AsArray().Select(value => value!.GetValue<float>())];

    private static void Close(float[] expected, Tensor found)
    {
        float[] values = found.detach().view(-1).data<float>().ToArray();
        Assert.Equal(expected.Length, values.Length);
        for (int i = 0; i < values.Length; i++)
            Assert.Equal(expected[i], values[i], 1e-6 + 1e-6 * Math.Abs(expected[i]));
    }
}
