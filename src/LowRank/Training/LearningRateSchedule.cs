namespace LowRank.Training;

/// <summary>The learning rate of each step: a linear warm-up from zero, then the schedule.</summary>
/// <remarks>Equals transformers' get_constant_schedule_with_warmup, get_linear_schedule_with_warmup and
/// get_cosine_schedule_with_warmup: the first step of a warm-up has rate zero.</remarks>
/// <param name="Kind">The schedule after warm-up.</param>
/// <param name="Peak">The highest rate.</param>
/// <param name="WarmupSteps">Number of warm-up steps; 0 for none.</param>
/// <param name="TotalSteps">Total number of steps, including warm-up.</param>
internal sealed record LearningRateSchedule(ScheduleKind Kind, double Peak, long WarmupSteps, long TotalSteps)
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

/// <summary>The course of the learning rate after warm-up.</summary>
public enum ScheduleKind
{
    /// <summary>Stays at its peak.</summary>
    Constant,

    /// <summary>Falls linearly to zero.</summary>
    Linear,

    /// <summary>Falls along half a cosine to zero (SGDR, arXiv 1608.03983, without restarts).</summary>
    Cosine,
}
