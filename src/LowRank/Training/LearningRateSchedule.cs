namespace LowRank.Training;

/// <summary>The learning rate of each step: a linear rise from zero over the warm-up, then the schedule's
/// fall.</summary>
/// <remarks>Equal to transformers' get_constant_schedule_with_warmup, get_linear_schedule_with_warmup and
/// get_cosine_schedule_with_warmup: the first step of a warm-up has rate zero.</remarks>
/// <param name="Kind">The course after warm-up.</param>
/// <param name="Peak">The highest rate.</param>
/// <param name="WarmupSteps">Steps of the rise; 0 for none.</param>
/// <param name="TotalSteps">Steps in all, warm-up included.</param>
public sealed record LearningRateSchedule(ScheduleKind Kind, double Peak, long WarmupSteps, long TotalSteps)
{
    /// <summary>The rate of a step, counted from 0.</summary>
    public double At(long step)
    {
        if (step < WarmupSteps) return Peak * step / Math.Max(1, WarmupSteps);
        double span = Math.Max(1, TotalSteps - WarmupSteps);
        double progress = Math.Min(1, (step - WarmupSteps) / span);
        return Kind switch
        {
            ScheduleKind.Linear => Peak * (1 - progress),
            ScheduleKind.Cosine => Peak * 0.5 * (1 + Math.Cos(Math.PI * progress)),
            _ => Peak,
        };
    }
}

/// <summary>How the learning rate runs over the steps of training, after warm-up.</summary>
public enum ScheduleKind
{
    /// <summary>Stays at its peak.</summary>
    Constant,

    /// <summary>Falls on a straight line to zero.</summary>
    Linear,

    /// <summary>Falls on half a cosine to zero (SGDR, arXiv 1608.03983, without restarts).</summary>
    Cosine,
}
