namespace LowRank.Training;

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
