namespace LowRank.Training;

/// <summary>A run cannot write to its folder: the disk is full, gone or may not be written to. What was saved before is whole.</summary>
/// <param name="message">What could not be written, what is left, what to do.</param>
/// <param name="cause">The error of the file system; null where there was none.</param>
public sealed class RunStorageException(string message, Exception? cause = null) : IOException(message, cause);
