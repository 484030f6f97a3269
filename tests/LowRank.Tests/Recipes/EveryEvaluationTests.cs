using LowRank.Recipes;
using LowRank.Recipes.Steps;
using LowRank.Training;

namespace LowRank.Tests.Recipes;

public sealed class EveryEvaluationTests
{
    [Theory]
    [InlineData("{train: t, validation: v}", "generations: 0", "", "with comparison.generations: 0")]
    [InlineData("{train: t}", "data: v", "", "without data.validation")]
    [InlineData("{train: t, validation: v}", "generations: 1", "training: {eval_every: 0}",
        "with training.eval_every: 0")]
    public void What_leaves_nothing_to_generate_is_refused(
        string data, string comparison, string training, string expected)
    {
        var e = Assert.Throws<InputException>(
            () => Recipe.Parse(
                $"model: m\noutput: o\ndata: {data}\n{training}\ncomparison:\n  {comparison}\n  every_evaluation: " +
                "true\n", "/"));
        Assert.Contains($"comparison.every_evaluation has no effect {expected}", e.Message);
    }

    [Theory]
    [InlineData(null, new long[] { 0, 5 })]
    [InlineData(3L, new long[] { 5 })]
    public void The_model_writes_before_the_first_step_and_at_each_evaluation(long? resumedFrom, long[] expected)
    {
        var heard = new Training.Recorder();
        int written = 0;
        var observer = new GeneratingObserver(
            heard, () => new EvaluationResult(0, 9, 1), () => [new GeneratedText("p", $"text {++written}")]);
        observer.Started(new TrainingPlan(5, 1, 1, 1, "x") { ResumedFrom = resumedFrom });
        observer.Evaluated(new EvaluationResult(5, 1, 1));
        Assert.Equal(expected, heard.Evaluations.Select(evaluation => evaluation.Step));
        Assert.Equal(Enumerable.Range(1, expected.Length).Select(number => $"text {number}"),
            heard.Evaluations.Select(evaluation => Assert.Single(evaluation.Generations).Text));
    }
}
