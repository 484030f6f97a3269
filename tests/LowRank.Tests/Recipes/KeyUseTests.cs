using LowRank.Cli.Commands;
using LowRank.Cli.Common;
using LowRank.Recipes;

namespace LowRank.Tests.Recipes;

/// <summary>Every key of a recipe says when it takes effect, and is refused where it takes none.</summary>
public sealed class KeyUseTests
{
    private const string Plain = "model: m\noutput: o\ndata: {train: t}\n",
        HeldOut = "model: m\noutput: o\ndata: {train: t, validation: v}\n";

    // A recipe, the key that has no effect in it, and the words that say why.
    public static TheoryData<string, string, string> WithoutEffect => new()
    {
        { Plain + "base_dtype: nf4\nadapter: {method: full}", "base_dtype", "is nf4, whose weights are frozen" },
        { Plain + "compute_dtype: bfloat16\nadapter: {method: full}", "compute_dtype",
            "is bfloat16, to which frozen weights are rounded" },
        { Plain + "base_head: base\nbase_dtype: float32", "base_head", "has no effect with base_dtype float32" },
        { Plain + "base_head: base\nbase_dtype: nf4\ntask: token_classification", "base_head",
            "has no effect with task token_classification" },
        { Plain + "tf32: true", "tf32", "has no effect with device cpu" },
        { HeldOut + "task: masked_lm\ncomparison: {}", "comparison", "works with task causal_lm only" },
        { Plain.Replace("t}", "[t, u], weights: [1]}"), "data.weights", "has 1 numbers, expected 2" },
        { Plain.Replace("t}", "t, weights: [1]}"), "data.weights", "has no effect with one entry of data.train" },
        { HeldOut.Replace("v}", "v, validation_share: 0.1}"), "data.validation_share",
            "and data.validation are both given" },
        { Plain.Replace("t}", "t, split_seed: 42}"), "data.split_seed", "has no effect without data.validation_share" },
        { Plain.Replace("t}", "t, train_on: all}") + "task: masked_lm", "data.train_on",
            "has no effect with task masked_lm" },
        { Plain.Replace("t}", "t, chat_template: a.jinja}") + "task: masked_lm", "data.chat_template",
            "has no effect with task masked_lm" },
        { Plain.Replace("t}", "t, streaming: true, deduplicate: true}") + "training: {steps: 1}", "data.deduplicate",
            "needs all rows" },
        { Plain.Replace("t}", "t, streaming: true, cache: true}") + "training: {steps: 1}", "data.cache",
            "has no effect with data.streaming: true" },
        { Plain.Replace("t}", "t, cache: true}") + "task: masked_lm", "data.cache",
            "has no effect with task masked_lm" },
        { Plain.Replace("t}", "t, streaming: true}"), "data.streaming", "needs training.steps" },
        { Plain.Replace("t}", "t, shuffle_buffer: 10000}"), "data.shuffle_buffer",
            "has no effect without data.streaming: true" },
        { Plain.Replace("t}", "t, streaming: true, shuffle_buffer: 9}") + "training: {steps: 1, shuffle: false}",
            "data.shuffle_buffer", "has no effect with training.shuffle: false" },
        { Plain + "adapter: {method: full, rank: 8}", "adapter.rank", "has no effect with adapter.method: full" },
        { Plain + "adapter: {method: ia3, alpha: 8}", "adapter.alpha",
            "has no effect with adapter.method: ia3, which has" },
        { Plain + "adapter: {method: ia3, dropout: 0}", "adapter.dropout", "has no effect with adapter.method: ia3" },
        { Plain + "adapter: {method: prefix_tuning, target_modules: a}", "adapter.target_modules",
            "has no effect with adapter.method: prefix_tuning; remove it" },
        { Plain + "adapter: {method: vera, exclude_modules: a}", "adapter.exclude_modules",
            "has no effect with adapter.method: vera" },
        { Plain + "adapter: {method: loha, bias: none}", "adapter.bias", "has no effect with adapter.method: loha" },
        { Plain + "adapter: {method: rslora, use_rslora: true}", "adapter.use_rslora",
            "has no effect with adapter.method: rslora" },
        { Plain + "adapter: {layers_to_transform: 1, target_modules: 'a.*'}", "adapter.layers_to_transform",
            "does not go with a regular expression" },
        { Plain + "adapter: {layers_pattern: h}", "adapter.layers_pattern",
            "has no effect without adapter.layers_to_transform" },
        { Plain + "adapter: {method: adalora, rank_pattern: {a: 1}}", "adapter.rank_pattern",
            "has no effect with adapter.method: adalora" },
        { Plain + "adapter: {method: adalora, alpha_pattern: {a: 1}}", "adapter.alpha_pattern",
            "has no effect with adapter.method: adalora" },
        { Plain + "adapter: {method: pissa, init_lora_weights: false}", "adapter.init_lora_weights",
            "has no effect with adapter.method: pissa" },
        { Plain + "adapter: {method: prompt_tuning, modules_to_save: a}", "adapter.modules_to_save",
            "has no effect with adapter.method: prompt_tuning" },
        { Plain + "adapter: {method: ia3, ensure_weight_tying: true}", "adapter.ensure_weight_tying",
            "has no effect with adapter.method: ia3" },
        { Plain + "adapter: {method: dora, lora_bias: true}", "adapter.lora_bias",
            "has no effect with adapter.method: dora" },
        { Plain + "adapter: {method: eva, trainable_token_indices: 1}", "adapter.trainable_token_indices",
            "has no effect with adapter.method: eva" },
        { Plain + "adapter: {method: eva, new_tokens: a}", "adapter.new_tokens",
            "has no effect with adapter.method: eva" },
        { Plain + "adapter: {method: full, method_options: {ratio: 2}}", "adapter.method_options",
            "has no effect with adapter.method: full" },
        { Plain + "adapter: {method: pissa, method_options: {examples: 2}}", "adapter.method_options.examples",
            "has no effect with adapter.method: pissa, which has iterations" },
        { Plain + "adapter: {method: lora, method_options: {examples: 2}}", "adapter.method_options.examples",
            "has no effect with adapter.method: lora; remove it" },
        { Plain + "adapter: {method: prompt_tuning, method_options: {initial_text: a}}",
            "adapter.method_options.initial_text", "has no effect with initial: sample_vocab" },
        { Plain + "adapter: {method: lora_ga, method_options: {scale: unit, stable_gamma: 16}}",
            "adapter.method_options.stable_gamma", "has no effect with scale: unit" },
        { Plain + "adapter: {method: lokr, method_options: {rank_dropout_scale: true}}",
            "adapter.method_options.rank_dropout_scale", "has no effect without rank_dropout" },
        { Plain + "training: {steps: 3, epochs: 3}", "training.steps", "and training.epochs are both given" },
        { Plain + "task: masked_lm\ntraining: {packing: true}", "training.packing",
            "has no effect with task masked_lm" },
        { Plain + "training: {packing: false, share_prompts: grouped}", "training.share_prompts",
            "is grouped, which needs training.packing: true" },
        { Plain + "training: {packing: false, share_prompts: true}", "training.share_prompts",
            "has no effect with training.packing: false" },
        { Plain + "task: masked_lm\ntraining: {batch_tokens: 9}", "training.batch_tokens",
            "has no effect with task masked_lm" },
        { Plain + "adapter: {method: prefix_tuning}\ntraining: {gradient_checkpointing: true}",
            "training.gradient_checkpointing", "does not go with adapter.method: prefix_tuning" },
        { Plain + "training: {steps: 2, warmup_steps: 3}", "training.warmup_steps",
            "is 3, expected at most training.steps, 2" },
        { Plain + "training: {warmup_steps: 3, warmup_ratio: 0.1}", "training.warmup_ratio",
            "and training.warmup_steps are both given" },
        { Plain + "training: {eval_every: 5}", "training.eval_every", "has no effect without data.validation" },
        { Plain + "training: {eval_batch_size: 16}", "training.eval_batch_size",
            "has no effect without data.validation, data.validation_share or comparison" },
        { Plain + "adapter: {method: full}\ntraining: {init_adapter: a}", "training.init_adapter",
            "does not go with adapter.method: full" },
        { Plain + "training: {from_scratch: true}", "training.from_scratch", "needs adapter.method: full" },
        { Plain + "training: {patience: 3}", "training.patience",
            "stops by the held-out loss, which needs data.validation" },
        { HeldOut + "training: {patience: 3, eval_every: 0}", "training.patience",
            "stops by the held-out loss, and training.eval_every is 0" },
        { Plain + "training: {min_delta: 0.1}", "training.min_delta", "has no effect without training.patience" },
        { Plain + "task_options: {labels: [a, b]}", "task_options.labels",
            "has no effect with task causal_lm; remove it" },
        { Plain + "task: sequence_classification\ntask_options: {problem: regression, labels: [a]}",
            "task_options.labels", "has no effect with task_options.problem: regression" },
        { Plain + "task: masked_lm\ntask_options: {problem: regression}", "task_options.problem",
            "has no effect with task masked_lm, which has mask_share" },
        { Plain + "task: embedding\ntask_options: {new_head: true}", "task_options.new_head",
            "has no effect with task embedding" },
        { Plain + "task: sequence_classification\ntask_options: {new_head: true}\ntraining: {init_adapter: a}",
            "task_options.new_head", "does not go with training.init_adapter" },
        { Plain + "task: masked_lm\ntask_options: {pooling: mean}", "task_options.pooling",
            "has no effect with task masked_lm" },
        { Plain + "task: masked_lm\ntask_options: {temperature: 1}", "task_options.temperature",
            "has no effect with task masked_lm" },
        { Plain + "task: embedding\ntask_options: {center_rewards_coefficient: 0.01}",
            "task_options.center_rewards_coefficient",
            "has no effect with task embedding, which has pooling, temperature" },
        { Plain + "task: embedding\ntask_options: {mask_share: 0.2}", "task_options.mask_share",
            "has no effect with task embedding" },
        { Plain + "task: embedding\ntask_options: {stride: 2}", "task_options.stride",
            "has no effect with task embedding" },
        { Plain + "task: embedding\ntask_options: {max_answer_tokens: 2}", "task_options.max_answer_tokens",
            "has no effect with task embedding" },
        { Plain + "task: masked_lm\nobjective: {type: dpo}", "objective", "works with task causal_lm only" },
        { Plain + "objective: {type: kto, loss: hinge}", "objective.loss",
            "has no effect with objective.type kto, only with dpo" },
        { Plain + "objective: {type: orpo, loss_weights: 1}", "objective.loss_weights",
            "has no effect with objective.type orpo, only with dpo" },
        { Plain + "objective: {beta: 0.1}", "objective.beta", "has no effect with objective.type sft" },
        { Plain + "objective: {type: kto, label_smoothing: 0}", "objective.label_smoothing",
            "has no effect with objective.type kto, only with dpo, cpo, simpo" },
        { Plain + "objective: {type: dpo, label_smoothing: 0.1}", "objective.label_smoothing",
            "has no effect with objective.loss sigmoid" },
        { Plain + "objective: {type: cpo, gamma: 1}", "objective.gamma",
            "has no effect with objective.type cpo, only with simpo" },
        { Plain + "objective: {type: dpo, nll_weight: 1}", "objective.nll_weight",
            "has no effect with objective.type dpo, only with cpo, simpo" },
        { Plain + "objective: {type: dpo, desirable_weight: 1}", "objective.desirable_weight",
            "has no effect with objective.type dpo, only with kto" },
        { Plain + "objective: {type: dpo, undesirable_weight: 1}", "objective.undesirable_weight",
            "has no effect with objective.type dpo, only with kto" },
        { Plain + "objective: {type: orpo, reference: base}", "objective.reference",
            "has no effect with objective.type orpo, only with dpo, kto" },
        { Plain + "objective: {type: dpo, reference: adapter}", "objective.reference",
            "is adapter, and training starts from a new one" },
        { HeldOut + "objective: {type: dpo}\ncomparison: {references: 1}", "comparison.references",
            "has no effect with objective.type dpo" },
        { HeldOut + "comparison: {generations: 0, max_new_tokens: 64}", "comparison.max_new_tokens",
            "has no effect without comparison.generations" },
        { HeldOut + "comparison: {generations: 0, every_evaluation: true}", "comparison.every_evaluation",
            "has no effect with comparison.generations: 0" },
    };

    [Fact]
    public void Every_key_declares_once_when_it_takes_effect()
    {
        Assert.Equal(RecipeKeys.All.Count, RecipeKeys.All.Select(key => key.Full).Distinct().Count());
        Assert.All(RecipeKeys.All,
            key => Assert.True(key.IsAlways != (key.Unless.Count + key.UnlessPrepared.Count + key.Notes.Count > 0),
            $"{key.Full} has to say that it always takes effect, or when it does not"));
    }

    [Fact]
    public void Every_condition_is_tried()
    {
        HashSet<string> tried = [.. WithoutEffect.Select(row => row.Data.Item2)];
        // Options of methods are refused with every method but their own, all by one condition.
        string[] conditional =
            [.. RecipeKeys.All.Where(key => key.Unless.Count > 0 && key.Section != AdapterKeys.Options)
            .Select(key => key.Full)];
        Assert.Empty(conditional.Except(tried));
    }

    [Theory]
    [MemberData(nameof(WithoutEffect))]
    public void A_key_without_effect_is_refused_and_says_why(string yaml, string key, string expected)
    {
        string problem =
            Assert.Single(Assert.Throws<InputException>(() => Recipe.Parse(yaml, "/", name: "r.yaml")).Problems);
        Assert.StartsWith("r.yaml, line ", problem);
        Assert.Contains($": {key} {expected}", problem);
    }

    [Theory]
    [InlineData("tf32: false")]
    [InlineData("training: {eval_every: 0, min_delta: 0, gradient_checkpointing: false, from_scratch: false}")]
    [InlineData("training: {packing: false, share_prompts: false}")]
    [InlineData("training: {steps: null, epochs: 2}")]
    [InlineData("adapter: {method: ia3, alpha: null}")]
    [InlineData("task_options: {labels: null}")]
    [InlineData("adapter: {method: lokr, method_options: {rank_dropout_scale: false}}")]
    public void A_value_that_asks_for_nothing_is_accepted(string yaml) => Recipe.Parse(Plain + yaml, "/");

    [Theory]
    [InlineData("data: {train: t, streaming: true, cache: false}\ntraining: {steps: 1, shuffle: false}")]
    [InlineData("data: {train: t}\ntraining: {packing: false}")]
    [InlineData("data: {train: t}\nadapter: {method: prompt_tuning}")]
    [InlineData("data: {train: t, validation: v}\ncomparison: {generations: 0}")]
    [InlineData("data: {train: t}\ntask: sequence_classification\ntask_options: {problem: regression}")]
    [InlineData("data: {train: t}\nadapter: {method: lora_plus}\ntraining: {init_adapter: a}")]
    public void What_is_written_can_be_read_again(string yaml)
    {
        string written = Recipe.Parse("model: m\noutput: o\n" + yaml, "/").ToYaml();
        Assert.Equal(written, Recipe.Parse(written, "/").ToYaml());
    }

    [Fact]
    public void A_key_in_two_spellings_is_told_where_the_other_stands()
    {
        string said = Assert.Throws<InputException>(
            () => Recipe.Parse(
                Plain + "training:\n  learning_rate: 1\n  learning-rate: 2\n", "/", name: "r.yaml")).Message;
        Assert.Contains(
            "training.learning-rate is not a key of a recipe; it looks like training.learning_rate, which is given " +
            "too (r.yaml, line 5, column 3); keep one of them", said);
        Assert.Contains("seed is given a second time, first on line 5; keep one of them",
            Assert.Throws<InputException>(
                () => Recipe.Parse(Plain + "training:\n  seed: 1\n  seed: 2\n", "/")).Message);
    }

    [Fact]
    public void A_key_that_is_set_twice_takes_the_last_value_and_says_so()
    {
        Recipe recipe =
            Recipe.Parse(Plain, "/", ["training.seed=1", "training.steps=4", "training.seed=2", "training.steps=4"]);
        Assert.Equal(2, recipe.Training.Seed);
        Assert.Equal("training.seed is set 2 times; the last holds: --set training.seed=2",
            Assert.Single(recipe.ReadingNotes).In(CommandWording.Of(new TrainCommand().Build())));
    }
}
