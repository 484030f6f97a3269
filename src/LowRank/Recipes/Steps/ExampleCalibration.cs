using LowRank.Adapters;
using LowRank.Data;
using LowRank.Kernels;
using LowRank.Training;
using static TorchSharp.torch;

namespace LowRank.Recipes.Steps;

/// <summary>The first training examples, for initialisations that examine data.</summary>
/// <param name="objective">The task.</param>
/// <param name="examples">The training examples.</param>
/// <param name="count">Number of examples to examine.</param>
internal sealed class ExampleCalibration(IObjective objective, IReadOnlyList<IExample> examples, int count)
    : ICalibration
{
    private List<IExample> Chosen => [.. examples.Where(example => example.PredictedLabels > 0).Take(count)];

    public void Forward(Action<IReadOnlyList<int>?> beforeEach)
    {
        using var noGradient = no_grad();
        foreach (IExample example in Chosen)
        {
            beforeEach(example is TokenizedExample tokens
                ? [.. Enumerable.Range(0, tokens.Labels.Length)
                .Where(position => tokens.Labels[position] != TokenizedExample.Ignored)] : null);
            using Tensor loss = objective.Sum([example], null);
        }
    }

    public void Backward()
    {
        long labels = Chosen.Sum(example => (long)example.PredictedLabels);
        foreach (IExample example in Chosen)
        {
            using var scope = NewDisposeScope();
            Tensor loss = objective.Sum([example], null) / Number(labels);
            BackwardErrors.Run(() => loss.backward());
        }
    }
}
