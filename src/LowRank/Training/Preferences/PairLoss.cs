using static TorchSharp.torch;

namespace LowRank.Training.Preferences;

/// <summary>The loss of pairs by objective, from their log-probabilities.</summary>
internal static class PairLoss
{
    /// <summary>The loss of each pair, [pairs].</summary>
    /// <param name="settings">The objective.</param>
    /// <param name="scores">The log-probabilities, with the reference's where the objective needs it.</param>
    /// <param name="nll">Each pair's part of the cross-entropy per token, [pairs]: their mean is that of the step's
    /// tokens.</param>
    /// <param name="metrics">Receives what TRL reports; null for nobody.</param>
    public static Tensor Of(PreferenceSettings settings, PairScores scores, Tensor nll, PreferenceMetrics? metrics)
    {
        metrics?.Add("logps/chosen", settings.ComparesPerToken ? scores.ChosenPerToken : scores.Chosen);
        metrics?.Add("logps/rejected", settings.ComparesPerToken ? scores.RejectedPerToken : scores.Rejected);
        return settings.Type switch
        {
            "dpo" => Dpo(settings, scores, nll, metrics),
            "orpo" => Orpo(settings, scores, nll, metrics),
            _ => Contrast(settings, scores, nll, metrics),
        };
    }

    private static Tensor Dpo(PreferenceSettings settings, PairScores scores, Tensor nll, PreferenceMetrics? metrics)
    {
        Report(settings, scores.ChosenRatio, scores.RejectedRatio, metrics);
        if (settings.Losses.Contains(PairLosses.Sft)) metrics?.Add("nll_loss", nll);
        return settings.Losses.Zip(settings.LossWeights, (name, weight) => (name == PairLosses.Sft ? nll
                : PairLosses.Of(name, scores, settings.Beta, settings.LabelSmoothing)) * Number(weight))
            .Aggregate((sum, loss) => sum.Plus(loss));
    }

    // The cross-entropy of the preferred text with its prompt, and β·log σ of the ratio of odds.
    private static Tensor Orpo(PreferenceSettings settings, PairScores scores, Tensor nll, PreferenceMetrics? metrics)
    {
        Tensor odds = PairLosses.LogOddsRatio(scores.ChosenPerToken, scores.RejectedPerToken),
            ratio = nn.functional.logsigmoid(odds);
        Report(settings, scores.ChosenPerToken, scores.RejectedPerToken, metrics);
        metrics?.Add("nll_loss", nll);
        metrics?.Add("log_odds_ratio", ratio);
        metrics?.Add("log_odds_chosen", odds);
        return nll - ratio * Number(settings.Beta);
    }

    private static Tensor Contrast(
        PreferenceSettings settings, PairScores scores, Tensor nll, PreferenceMetrics? metrics)
    {
        Tensor chosen = settings.ComparesPerToken ? scores.ChosenPerToken : scores.Chosen,
            rejected = settings.ComparesPerToken ? scores.RejectedPerToken : scores.Rejected;
        Tensor losses = PairLosses.Contrast(chosen - rejected, settings.Beta,
            settings.ComparesPerToken ? settings.Gamma : 0, settings.LabelSmoothing);
        Report(settings, chosen, rejected, metrics);
        if (settings.NllWeight == 0) return losses;
        metrics?.Add("nll_loss", nll);
        return losses.Plus(nll * Number(settings.NllWeight));
    }

    // Rewards are β times what is compared.
    private static void Report(
        PreferenceSettings settings, Tensor chosen, Tensor rejected, PreferenceMetrics? metrics)
    {
        if (metrics is null) return;
        using var scope = NewDisposeScope();
        Tensor better = chosen.detach() * Number(settings.Beta), worse = rejected.detach() * Number(settings.Beta);
        metrics.Add("rewards/chosen", better);
        metrics.Add("rewards/rejected", worse);
        metrics.Add("rewards/accuracies", better.gt(worse).to(ScalarType.Float32));
        metrics.Add("rewards/margins", better - worse);
    }
}
