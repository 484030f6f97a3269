namespace LowRank.Recipes;

// Keys about a run's course and safety, not about what is learned.
internal sealed partial class RecipeReader
{
    private static TrainingSection ReadCourse(YamlSection section, TrainingSection training) => training with
    {
        KeepCheckpoints = section.Count("keep_checkpoints", 1, training.KeepCheckpoints),
        MaxSkippedSteps = section.Count("max_skipped_steps", 1, training.MaxSkippedSteps),
        Patience = (int?)section.Whole("patience", 1, int.MaxValue),
        MinDelta = section.Number("min_delta", training.MinDelta),
        MaxTime = section.Time("max_time"),
        MaxTokens = section.Whole("max_tokens", 1),
    };

    private static void CheckCourse(YamlSection section, TrainingSection training, DataSection? data)
    {
        if (training.Patience is not null && data is { Validation.Count: 0, ValidationShare: 0 })
            section.Reject("patience", "stops by the held-out loss, which needs data.validation or data.validation_share; add that or remove this");
        else if (training.Patience is not null && training.EvalEvery == 0)
            section.Reject("patience", "stops by the held-out loss, and training.eval_every is 0: never; change one of them");
        if (training.Patience is null && training.MinDelta > 0)
            section.Reject("min_delta", "has no effect without training.patience; add that or remove this");
    }
}
