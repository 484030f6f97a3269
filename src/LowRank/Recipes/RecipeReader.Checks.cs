using LowRank.Data.Rows;
using LowRank.Adapters.Methods;
using LowRank.Hub;
using LowRank.Quantization;

namespace LowRank.Recipes;

// Keys that contradict each other, or that cannot take effect: nothing that was asked for is ignored in silence.
internal sealed partial class RecipeReader
{
    private static IEnumerable<string> Shaping => RecipeKeys.Sections["adapter"].Where(key => key != "method");

    private static void CheckAdapter(YamlSection section, AdapterSection adapter, TrainingSection training)
    {
        if (adapter.Method == "full" || training.InitAdapter is not null)
        {
            string reason = adapter.Method == "full" ? "adapter.method: full" : "training.init_adapter, whose own settings hold";
            foreach (string key in Shaping.Where(section.Has)) section.Reject(key, $"has no effect with {reason}; remove it");
            return;
        }
        IAdapterMethod method = AdapterMethods.Get(adapter.Method);
        foreach (string key in Shaping.Where(key => key != "method_options" && section.Has(key) && !method.Keys.Contains(key)))
            section.Reject(key, $"has no effect with adapter.method: {method.Name}, which has {string.Join(", ", method.Keys)}; remove it");
        if (adapter.LayersToTransform is not null && adapter.TargetPattern is { } pattern && pattern != "all-linear")
            section.Reject("layers_to_transform", "does not go with a regular expression in adapter.target_modules; put the layers into the expression");
        if (adapter.LayersPattern is not null && adapter.LayersToTransform is null)
            section.Reject("layers_pattern", "has no effect without adapter.layers_to_transform; add that or remove this");
    }

    private static void CheckBaseDtype(YamlSection root, string baseDtype, AdapterSection adapter)
    {
        if (WeightFormats.Get(baseDtype) is not null && adapter.Method == "full")
            root.Reject("base_dtype", $"is {baseDtype}, whose weights are frozen, and adapter.method: full trains every weight; use {WeightFormats.Float32}, or another method");
    }

    private static void CheckTraining(YamlSection section, TrainingSection training, AdapterSection adapter, DataSection? data)
    {
        if (section.Has("steps") && section.Has("epochs")) section.Reject("steps", "and training.epochs are both given; keep one of them");
        if (section.Has("warmup_steps") && section.Has("warmup_ratio"))
            section.Reject("warmup_ratio", "and training.warmup_steps are both given; keep one of them");
        if (training.Steps is { } steps && training.WarmupSteps > steps)
            section.Reject("warmup_steps", $"is {training.WarmupSteps}, expected at most training.steps, {steps}");
        if (training.FromScratch && adapter.Method != "full")
            section.Reject("from_scratch", "needs adapter.method: full; an adapter needs a pretrained base");
        if (training.FromScratch && training.InitAdapter is not null)
            section.Reject("init_adapter", "does not go with training.from_scratch; keep one of them");
        else if (training.InitAdapter is not null && adapter.Method == "full")
            section.Reject("init_adapter", "does not go with adapter.method: full; merge the adapter into the model first");
        if (training.GradientCheckpointing && adapter.Method is ("prompt_tuning" or "prefix_tuning"))
            section.Reject("gradient_checkpointing", $"does not go with adapter.method: {adapter.Method}, whose states every layer reads; remove one of them");
        if (!training.Packing && training.SharePrompts == "grouped")
            section.Reject("share_prompts", "is grouped, which needs training.packing: true; change one of them");
        if (training.EvalEvery > 0 && data is { Validation.Count: 0, ValidationShare: 0 })
            section.Reject("eval_every", "has no effect without data.validation or data.validation_share; add that or remove this");
    }

    private static void CheckEveryEvaluation(YamlSection section, ComparisonSection comparison, DataSection? data, TrainingSection training)
    {
        string? reason = comparison.Generations == 0 ? "with comparison.generations: 0"
            : data is { Validation.Count: 0, ValidationShare: 0 } ? "without data.validation or data.validation_share, which evaluations need"
            : training.EvalEvery == 0 ? "with training.eval_every: 0, which leaves no evaluation" : null;
        if (reason is not null) section.Reject("every_evaluation", $"has no effect {reason}; change that or remove this");
    }

    private static void RejectBatching(YamlSection section, string reason)
    {
        foreach (string key in (string[])["packing", "share_prompts", "batch_tokens"])
        {
            if (section.Has(key)) section.Reject(key, $"has no effect {reason}; remove it");
        }
    }

    // Files are looked at when a run is prepared; a recipe that gets no further says at once which of them it lacks.
    private void ReportMissing(YamlSection root)
    {
        if (root.Texts("model") is [{ } model] && !Variable().IsMatch(model.Text) && HubRepository.TryParse(model.Text) is null && !Directory.Exists(Resolve(model)))
            problems.Add(model.Place, $"model is {model}, and there is no such folder");
        if (root.Child("data") is not { } data) return;
        foreach (string key in (string[])["train", "validation"])
            foreach (YamlValue file in (data.Texts(key) ?? []).Where(file => !Variable().IsMatch(file.Text) && !Path.Exists(Resolve(file)) && RowFiles.Missing([Resolve(file)]).Count > 0))
                problems.Add(file.Place, $"data.{key}: {Resolve(file)} was not found");
    }
}
